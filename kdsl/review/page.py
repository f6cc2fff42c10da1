"""Requests and answers: who asks, in which language; forms; templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from kdsl.errors import KdslError
from kdsl.review.site import Site
from kdsl.review.wording import Language, condition_words, counted, rule_words
from kdsl.review.words import translate

LANGUAGE_COOKIE, THEME_COOKIE, NAME_COOKIE = "kdsl_language", "kdsl_theme", "kdsl_name"
_MOST_NAME = 60


@dataclass(frozen=True)
class Visitor:
    """What a request's cookies say about who asks."""

    name: str
    language: Language
    theme: str
    """light, dark, or empty for what the device prefers."""

    @classmethod
    def of(cls, request: Request, site: Site) -> "Visitor":
        language = request.cookies.get(LANGUAGE_COOKIE, "")
        if language not in ("en", "zh"):
            language = "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"
        theme = request.cookies.get(THEME_COOKIE, "")
        name = unquote(request.cookies.get(NAME_COOKIE, "")).strip()[:_MOST_NAME]
        return cls(
            name or site.reviewer, "zh" if language == "zh" else "en", theme if theme in ("light", "dark") else ""
        )


class Form:
    """The fields of a form, as a browser sends them."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    @classmethod
    async def of(cls, request: Request) -> "Form":
        body = await request.body()
        try:
            return cls(parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=500))
        except ValueError as error:
            raise KdslError(f"the form cannot be read ({error})") from error

    def __getitem__(self, name: str) -> str:
        """The field's value; empty where it was not sent."""
        return self._values.get(name, [""])[-1]

    def sent(self) -> dict[str, str]:
        """All fields."""
        return {name: each[-1] for name, each in self._values.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def all(self, prefix: str) -> dict[str, str]:
        """The fields whose names begin with `prefix`, without it."""
        return {name.removeprefix(prefix): each[-1] for name, each in self._values.items() if name.startswith(prefix)}


class Pages:
    """Renders templates; everything that is not markup of the templates' own is escaped."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._environment.globals.update(counted=counted)
        self._environment.filters["quote"] = lambda text: quote(str(text), safe="")

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The whole page; for htmx only its main part, which it puts into the page that is open."""
        visitor = Visitor.of(request, self._site)
        language = visitor.language
        text = self._environment.get_template(template).render(
            _=lambda words: translate(words, language),
            words=lambda conditions: rule_words(conditions, language),
            condition_words=lambda condition: condition_words(condition, language),
            visitor=visitor,
            site=self._site,
            layout="part.html" if request.headers.get("hx-request") == "true" else "base.html",
            problems=self._site.store.problems,
            here=request.url.path,
            **values,
        )
        return HTMLResponse(text, status)
