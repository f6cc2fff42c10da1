"""The page /docs: a form to try the service with, and what each route takes and gives. It works without internet.

It is the service's own rather than Swagger UI, which is 1.5 MB of script, asks for inline styles that the page's policy
refuses, speaks no Chinese, and shows JSON where people want to see the evidence in the text. Whoever prefers it gives
it /openapi.json.

The page holds nothing of the project, so that a browser opens it without the token. What it shows of the project, its
script asks for with the token: the tasks in /openapi.json, and answers.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, JSONResponse

from kdsl.json_file import read_json
from kdsl.sample import Task
from kdsl.serve.openapi import REFUSALS, openapi

_HERE = Path(__file__).parent
_STATIC = {path.name: path for path in sorted((_HERE / "static").iterdir())}
_LANGUAGES = ("en", "zh")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}


def docs_routes(tasks: Sequence[Task]) -> APIRouter:
    """The page, its files, and /openapi.json for a project with these tasks."""
    router = APIRouter()
    described = openapi(tasks)

    @router.get("/docs")
    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(_page(_language(request)), headers=_HEADERS)

    @router.get("/docs/static/{name}")
    def static(name: str) -> FileResponse:
        if name not in _STATIC:
            raise HTTPException(404)
        return FileResponse(_STATIC[name], headers=_HEADERS)

    @router.get("/openapi.json")
    def description() -> JSONResponse:
        return JSONResponse(described)

    return router


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
