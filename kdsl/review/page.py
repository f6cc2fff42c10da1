"""A request and its answer: the language and colours that the visitor chose, and the templates."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from kdsl.audio.decoding import voice_installed
from kdsl.audio.transcript import clock
from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.json_file import read_json
from kdsl.review.live import LiveSite
from kdsl.review.site import Site
from kdsl.rules.wording import Language, condition_words, counted, rule_words

LANGUAGE_COOKIE, THEME_COOKIE = "kdsl_language", "kdsl_theme"
LANGUAGES, THEMES = ("en", "zh"), ("light", "dark")


@dataclass(frozen=True)
class Visitor:
    """How the person at the browser wants to see the page; who it is, the site knows from its start."""

    language: Language
    theme: str
    """light, dark, or empty for what the device prefers."""

    @classmethod
    def of(cls, request: Request) -> "Visitor":
        language = request.cookies.get(LANGUAGE_COOKIE, "")
        if language not in LANGUAGES:
            language = "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"
        theme = request.cookies.get(THEME_COOKIE, "")
        return cls("zh" if language == "zh" else "en", theme if theme in THEMES else "")


@dataclass(frozen=True)
class Call:
    """A request, the site that answers it from beginning to end, and who asks."""

    request: Request
    site: Site
    visitor: Visitor
    pages: "Pages"

    @classmethod
    def of(cls, request: Request) -> "Call":
        state = request.app.state
        return cls(request, state.live.site, Visitor.of(request), state.pages)

    @property
    def by_script(self) -> bool:
        """Whether htmx asks, which puts the answer into the page that is open."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def measuring(self) -> dict[str, str]:
        """Task → empty while its quality is being measured, else why it could not be; for all requests."""
        return self.request.app.state.measuring

    def render(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        return self.pages.render(self, template, status, **values)


async def _call(request: Request) -> Call:
    return Call.of(request)


Asked = Annotated[Call, Depends(_call)]
"""A parameter of a route: the request."""


async def _task(call: Asked, task: str) -> str:
    """Raises KdslError where the project has no such task."""
    if task not in call.site.tasks:
        raise KdslError(f"the project has no task {task!r}; it has {', '.join(call.site.tasks)}")
    return task


KnownTask = Annotated[str, Depends(_task)]
"""A parameter of a route: the task that its address names."""


def translate(words: str, language: Language) -> str:
    """English words of the page in `language`; English where no translation is known."""
    return chinese().get(words, words) if language == "zh" else words


@cache
def chinese() -> dict[str, str]:
    """English → Chinese: the words that stand in the templates."""
    return read_json(Path(__file__).with_name("chinese.json"))


class Pages:
    """Renders templates; everything that is not markup of the templates' own is escaped."""

    def __init__(self, live: LiveSite) -> None:
        self._live = live
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._environment.globals.update(
            counted=counted, clock=clock, decoding=voice_installed(), install=install_command("voice")
        )
        self._environment.filters["quote"] = lambda text: quote(str(text), safe="")

    def refuse(self, call: Call, status: int, sentence: str) -> HTMLResponse:
        """Why nothing was done. For htmx it stands above the page that asked, which keeps what was written there."""
        writing = call.request.method == "POST"
        if not call.by_script or (call.request.headers.get("hx-boosted") == "true" and not writing):
            asked = call.request.path_params.get("task", "")
            task = asked if asked in call.site.tasks else next(iter(call.site.tasks))
            return self.render(call, "error.html", status, sentence=sentence, task=task)
        answer = self.render(call, "refused.html", status, sentence=sentence, writing=writing)
        answer.headers["HX-Retarget"] = "#alert"
        answer.headers["HX-Reswap"] = "innerHTML show:window:top"
        return answer

    def render(self, call: Call, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The whole page; for htmx only its main part."""
        language = call.visitor.language
        text = self._environment.get_template(template).render(
            _=lambda words: translate(words, language),
            words=lambda conditions: rule_words(conditions, language),
            condition_words=lambda condition: condition_words(condition, language),
            visitor=call.visitor,
            site=call.site,
            layout="part.html" if call.by_script else "base.html",
            problems=call.site.store.problems,
            changing=self._live.changing,
            unusable=self._live.problems,
            **values,
        )
        return HTMLResponse(text, status)
