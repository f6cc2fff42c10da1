"""The page /docs: a form to try the service with, and what each route takes and gives. It works without internet.

It is the service's own rather than Swagger UI, which is 1.5 MB of script, asks for inline styles that the page's
policy refuses, speaks no Chinese, and shows JSON where people want to see the evidence in the text. Whoever prefers
Swagger UI gives it /openapi.json.

The page holds nothing of the project, so that a browser opens it without the token. What it shows of the project, its
script asks for with the token: the tasks in /openapi.json, and answers.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from kdsl.json_file import read_json
from kdsl.sample import Task
from kdsl.serve.openapi import REFUSALS, openapi

_HERE = Path(__file__).parent
_STATIC = {path.name: path for path in sorted((_HERE / "static").iterdir())}
_LANGUAGES = ("en", "zh")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


OPEN = ("/docs", *(f"/docs/static/{name}" for name in _STATIC))
"""Paths that hold nothing of the project."""

Answer = Callable[[Request], Awaitable[Response]]


def docs_routes(tasks: Sequence[Task]) -> dict[str, Answer]:
    """Path → what answers a GET there: the page, its files, and /openapi.json for a project with these tasks."""
    described = JSONResponse(openapi(tasks)).body

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(_language(request)), headers=_HEADERS)

    async def description(_: Request) -> Response:
        return Response(described, media_type="application/json")

    return {
        "/docs": page,
        "/openapi.json": description,
        **{f"/docs/static/{name}": _static(path) for name, path in _STATIC.items()},
    }


def _static(path: Path) -> Answer:
    async def file(_: Request) -> Response:
        return FileResponse(path, headers=_HEADERS)

    return file


def _language(request: Request) -> str:
    """What the address asks for, else what the browser prefers, of those that there are."""
    asked = request.query_params.get("language", "")
    if asked in _LANGUAGES:
        return asked
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


@cache
def _page(language: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    words = chinese() if language == "zh" else {}
    return environment.get_template("docs.html").render(
        _=lambda english: words.get(english, english),
        language=language,
        api=openapi([]),
        refusals=REFUSALS,
        written=lambda value: json.dumps(value, ensure_ascii=False, indent=1),
    )


@cache
def chinese() -> dict[str, Any]:
    """English → Chinese: the words of the page, and the descriptions of the API."""
    return read_json(_HERE / "chinese.json")
