"""The web application: FastAPI routes over a `Site`, behind a `Guard`."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response

from kdsl.errors import KdslError
from kdsl.review import (
    decision_routes,
    edit_routes,
    label_routes,
    labelling_routes,
    media_routes,
    progress_routes,
    refine_routes,
    rule_routes,
    run_routes,
    sample_routes,
    service_routes,
)
from kdsl.review.form import Form
from kdsl.review.live import LiveSite
from kdsl.review.page import LANGUAGE_COOKIE, LANGUAGES, THEME_COOKIE, THEMES, Call, Pages
from kdsl.review.security import Guard, split_address

_YEAR = 365 * 86400


def create_app(live: LiveSite, hosts: Collection[str], token: str | None = None, background: bool = True) -> FastAPI:
    """`hosts` and `token` as in `Guard`. With `background` the model is asked, and changes outside are looked for."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if background:
            live.start()
        yield
        live.stop()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.live = live
    app.state.pages = pages = Pages(live)
    app.state.measuring = {}
    app.add_middleware(Guard, hosts=hosts, token=token)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    for routes in (
        rule_routes,
        decision_routes,
        edit_routes,
        refine_routes,
        sample_routes,
        label_routes,
        labelling_routes,
        progress_routes,
        run_routes,
        service_routes,
        media_routes,
    ):
        app.include_router(routes.router)

    @app.exception_handler(KdslError)
    def refused(request: Request, error: KdslError) -> Response:
        return pages.refuse(Call.of(request), 422, error.in_commands())

    @app.exception_handler(HTTPException)
    def unknown(request: Request, error: HTTPException) -> Response:
        return pages.refuse(Call.of(request), error.status_code, f"{request.url.path}: {error.detail}")

    @app.exception_handler(ClientDisconnect)
    def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody hears it, but it is no fault of the server's

    @app.get("/")
    def start() -> Response:
        return RedirectResponse(f"/t/{quote(next(iter(live.site.tasks)), safe='')}/rules", 303)

    @app.post("/settings")
    async def settings(request: Request) -> Response:
        form = await Form.of(request)
        answer = RedirectResponse(_came_from(request), 303)
        for field, cookie, known in (("language", LANGUAGE_COOKIE, LANGUAGES), ("theme", THEME_COOKIE, THEMES)):
            if field in form:
                if form[field] not in known:
                    raise KdslError(f"{field} {form[field][:60]!r} is none of {', '.join(known)}")
                answer.set_cookie(cookie, form[field], max_age=_YEAR, samesite="strict", httponly=True)
        return answer

    return app


def _came_from(request: Request) -> str:
    """The address of the page that the browser shows, filters included; its header may be older than that."""
    referer = split_address(request.headers.get("referer", ""))
    if referer is None or referer.netloc != request.headers.get("host") or referer.path.startswith(("//", "/\\")):
        return "/"
    return (referer.path or "/") + (f"?{referer.query}" if referer.query else "")
