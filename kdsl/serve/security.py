"""Who may ask the service: who brings the token, or without one, who comes from this computer and no other site."""

import hmac
from collections.abc import Collection

from starlette.requests import Request

from kdsl.listening import LOCAL_NAMES, host_name
from kdsl.serve.refusal import Refusal


class Guard:
    """Checks requests to everything but what a load balancer and a browser ask for first."""

    def __init__(self, token: str | None, open_paths: Collection[str]) -> None:
        """`token` of None lets everybody in who reaches the service, which is on this computer alone then."""
        self._token = None if token is None else token.encode()
        self._open = frozenset(open_paths)

    def check(self, request: Request) -> None:
        """Raises Refusal for who may not ask."""
        if self._token is None:
            self._require_own_site(request)
        elif request.url.path not in self._open:
            self._require_token(request, self._token)

    def _require_token(self, request: Request, token: bytes) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1", "replace"), token):
            raise Refusal(
                401,
                "the token is missing or wrong; send the header `Authorization: Bearer TOKEN` with the one that "
                "kdsl serve printed or that KDSL_TOKEN holds",
                {"WWW-Authenticate": "Bearer"},
            )

    def _require_own_site(self, request: Request) -> None:
        """Pages of other sites in a browser on this computer could ask too: by its address, or by a name for it."""
        host = request.headers.get("host", "").lower()
        name = host_name(host)
        if name not in LOCAL_NAMES:
            raise Refusal(400, f"{name[:60]!r} is not a name of this computer; without a token ask 127.0.0.1")
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise Refusal(403, f"pages of {origin[:60]} may not ask without a token; start the service with one")
