"""Who may talk to the page: known hosts only, writes from the page itself only, a token for all but this computer."""

import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_COOKIE = "kdsl_token"
MOST_BYTES = 1 << 20
"""Of a request's body: forms are small."""
_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; "
    "connect-src 'self'; img-src 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware: refuses with one sentence what it does not know, and adds the headers of a strict policy."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str | None) -> None:
        """`hosts`: names, without port, that the page is reached by; `token` None lets everybody in who reaches it."""
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = {name: value for name, value in Headers(raw=message["headers"]).items()}
                added = {name: value for name, value in _HEADERS.items() if name.lower() not in headers}
                if "cache-control" not in headers:
                    added["Cache-Control"] = "no-store"
                raw = [(name.lower().encode(), value.encode()) for name, value in added.items()]
                message = {**message, "headers": [*message["headers"], *raw]}
            await send(message)

        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        host = _name(request.headers.get("host", ""))
        if not self._known(host):
            return PlainTextResponse("This name is not one the page is reached by; start it with --host.", 400)
        if request.method not in ("GET", "HEAD"):
            origin = urlsplit(request.headers.get("origin", ""))
            if origin.scheme not in ("http", "https") or origin.netloc != request.headers.get("host"):
                return PlainTextResponse("Changes are taken from the page itself only.", 403)
            length = request.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                return PlainTextResponse("The form is too large.", 413)
        if self._token is None:
            return None
        given = request.query_params.get("token")
        if given is not None and hmac.compare_digest(given.encode(), self._token.encode()):
            answer = RedirectResponse(request.url.path, 303)  # out of the address, which history and screens show
            answer.set_cookie(TOKEN_COOKIE, self._token, httponly=True, samesite="strict", max_age=30 * 86400)
            return answer
        kept = request.cookies.get(TOKEN_COOKIE, "")
        if not hmac.compare_digest(kept.encode(), self._token.encode()):
            return PlainTextResponse("Open the address that kdsl review printed: it holds the token.", 401)
        return None

    def _known(self, host: str) -> bool:
        """A known name; with a token also a bare number, which no other site can make this page's own (rebinding)."""
        if host in self._hosts:
            return True
        if self._token is None:
            return False
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True


def _name(host: str) -> str:
    """Without the port."""
    head, colon, port = host.lower().rpartition(":")
    return head if colon and port.isdecimal() else host.lower()
