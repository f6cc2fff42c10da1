"""The web application: what HTTP says around a `Service`."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kdsl.arbiter.html import decision_html
from kdsl.errors import KdslError
from kdsl.json_file import json_bytes
from kdsl.serve import docs_page
from kdsl.serve.explained import explanation_record, named_files
from kdsl.serve.live import Unusable
from kdsl.serve.refusal import Refusal, json_answer
from kdsl.serve.security import Guard
from kdsl.serve.service import Service

_log = logging.getLogger(__name__)

OPEN = ("/", "/healthz", "/readyz", *docs_page.OPEN)
"""Paths that need no token: they tell nothing of samples and labels."""
_EXPLANATION_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

Route = Callable[[Request], Awaitable[Response]]


def create_app(service: Service, token: str | None) -> FastAPI:
    """`token` as in `Guard`. The service is started and closed with the application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.live.start()
        deciding = asyncio.create_task(service.run())
        yield
        deciding.cancel()
        with suppress(asyncio.CancelledError):
            await deciding
        service.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    guard = Guard(token, OPEN)

    def route(path: str, method: str, answer: Route) -> None:
        async def guarded(request: Request) -> Response:
            begun = time.perf_counter()
            response = await answered(request)
            service.metrics.answered(path, response.status_code, time.perf_counter() - begun)
            return response

        async def answered(request: Request) -> Response:
            try:
                guard.check(request)
                return await answer(request)
            except Refusal as refusal:
                return refusal.response()
            except Unusable as error:
                return Refusal(409, error.in_commands()).response()
            except KdslError as error:
                return Refusal(422, error.in_commands()).response()
            except ClientDisconnect:
                return Response(status_code=400)  # nobody hears it
            except Exception:
                _log.exception("%s %s failed", method, path)
                return Refusal(500, "something went wrong inside the service; its log says what").response()

        app.add_route(path, guarded, methods=[method])

    async def predict(request: Request) -> Response:
        answered = await service.answers(request)
        body = b'{"predictions": [' + b", ".join(each.record for each in answered) + b"]}"
        return Response(body, media_type="application/json")

    async def explain(request: Request) -> Response:
        [answered] = await service.answers(request, explain=True)
        if "text/html" in request.headers.get("accept", ""):
            html = named_files(decision_html(answered.decision), answered.asked.kept)
            return HTMLResponse(html, headers={"Content-Security-Policy": _EXPLANATION_POLICY})
        explanation = explanation_record(answered.explanation, answered.decision.labels)
        body = b'{"prediction": ' + answered.record + b', "explanation": ' + json_bytes(explanation) + b"}"
        return Response(body, media_type="application/json")

    async def feedback(request: Request) -> Response:
        event = await service.feedback(request)
        return json_answer({"saved": True, "event": event.event, "id": event.id, "task": event.task})

    async def metrics(_: Request) -> Response:
        text, kind = await asyncio.to_thread(service.rendered_metrics)
        return Response(text, headers={"Content-Type": kind})

    async def healthz(_: Request) -> Response:
        return json_answer({"status": "alive"})

    async def readyz(_: Request) -> Response:
        problems = await asyncio.to_thread(lambda: service.problems)
        status = "degraded" if problems else "ready"
        return json_answer({"status": status, "problems": problems, "versions": dict(service.live.served.versions)})

    async def start(_: Request) -> Response:
        return RedirectResponse("/docs", 303)

    route("/v1/predict", "POST", predict)
    route("/v1/explain", "POST", explain)
    route("/v1/feedback", "POST", feedback)
    route("/metrics", "GET", metrics)
    route("/healthz", "GET", healthz)
    route("/readyz", "GET", readyz)
    route("/", "GET", start)
    for path, answer in docs_page.docs_routes(service.live.project.tasks).items():
        route(path, "GET", answer)

    @app.exception_handler(HTTPException)
    def unknown(request: Request, error: HTTPException) -> Response:
        sentence = f"{request.method} {request.url.path[:80]}: {str(error.detail).lower()}; /docs lists what there is"
        return Refusal(error.status_code, sentence, error.headers).response()

    return app
