"""Who may talk to the page: known hosts only, writes from the page itself only, and who has the token."""

import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kdsl.listening import host_name
from kdsl.review.form import whole_number

MOST_BYTES = 1 << 20
"""Of a request's body: forms are small."""
_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; "
    "connect-src 'self'; img-src 'self'; media-src 'self'"
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
        """`hosts`: names, without port, that the page is reached by.

        `token` is asked for by every address of the page; None lets everybody in who reaches it.
        """
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page has no WebSocket
            await send({"type": "websocket.close"})
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
        host = host_name(request.headers.get("host", ""))
        if not self._known(host):
            return PlainTextResponse("This name is not one the page is reached by; start it with --host.", 400)
        if request.method not in ("GET", "HEAD"):
            origin = split_address(request.headers.get("origin", ""))
            if (
                origin is None
                or origin.scheme not in ("http", "https")
                or origin.netloc != request.headers.get("host")
            ):
                return PlainTextResponse("Changes are taken from the page itself only.", 403)
            if "content-length" not in request.headers:
                return PlainTextResponse("The form does not say how long it is.", 411)
            length = whole_number(request.headers["content-length"])
            if length is None or length > MOST_BYTES:
                return PlainTextResponse("The form is too large.", 413)
        return None if self._token is None else self._without_token(request, self._token)

    def _without_token(self, request: Request, token: str) -> Response | None:
        """The cookie for who brings the token in the address, and a refusal for who has neither."""
        cookie = _cookie_name(request)
        given = request.query_params.get("token")
        if given is not None and _equal(given, token):
            answer = RedirectResponse("/", 303)  # out of the address, which history and screens show
            answer.headers["Referrer-Policy"] = "no-referrer"
            # Lax, not strict: else a link from a colleague's message, or the file that opens the browser, is refused.
            # Nothing changes by a link: changes need the page's own origin. Gone with the browser, as the token is.
            answer.set_cookie(cookie, token, httponly=True, samesite="lax")
            return answer
        if not _equal(request.cookies.get(cookie, ""), token):
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


def _cookie_name(request: Request) -> str:
    """Browsers keep the cookies of one host together, whatever the port: each of several pages has its own."""
    _, port = request.scope["server"]
    return f"kdsl_token_{port}"


def _equal(given: str, token: str) -> bool:
    """Takes as long whatever `given` is."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def split_address(address: str) -> SplitResult | None:
    """The parts of an address from a header; None for what is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return None
