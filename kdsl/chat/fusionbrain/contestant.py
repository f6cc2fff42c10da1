"""What plays in FusionBrain Challenge 3.0: a model, its settings and the time that is left."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from kdsl.audio.transcribe import Transcriber
from kdsl.audio.transcript import Transcript
from kdsl.chat.answering import ChatModel
from kdsl.chat.dialogue import ChatTurn, Part
from kdsl.chat.fusionbrain.history import messages_of, turns_of, user_turn
from kdsl.chat.fusionbrain.media import Media
from kdsl.chat.fusionbrain.settings import Settings, read_settings
from kdsl.chat.fusionbrain.time_budget import TimeBudget
from kdsl.chat.hearing import in_text, unheard
from kdsl.errors import KdslError
from kdsl.vlm.local import LocalModel
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.projected import ProjectedModel

log = logging.getLogger(__name__)

Value = TypeVar("Value")

_NO_TIME = "the time is over"
_DECODING = 0.5
"""Of the seconds for an answer, what decoding sounds may take, and writing them down."""


class Outcome(NamedTuple):
    """What came of a question; `history` are the messages up to the query, without the answer."""

    value: Any
    """The text of an answer, or a perplexity; None where there is none."""
    history: list[dict[str, Any]]
    problem: str = ""
    """Why there is none."""


class Contestant:
    """Answers queries and scores answers, each within the time that it may take."""

    def __init__(self, model: LocalModel | ProjectedModel, settings: Settings, time: TimeBudget) -> None:
        self.tokenizer = model.processor.tokenizer
        self._model = model
        self._decoder = model if isinstance(model, LocalModel) else model.local
        self._settings = settings
        self._time = time
        self._temporary = TemporaryDirectory(prefix="kdsl-fusionbrain-")
        self._folder = Path(self._temporary.name)
        pixels = PixelBudget(settings.pixels.min, settings.pixels.max)
        # Half of a dialogue's tokens are for what is said.
        self._media = Media(self._folder, pixels, settings.max_tokens // 2, settings.sound_seconds, model.sees())
        self._chat = ChatModel(model, self._folder, settings.system, settings.max_new_tokens)
        self._transcriber = Transcriber(str(settings.speech))
        self._transcripts: dict[str, Transcript] = {}
        """Of files in the folder, whose names are used once."""

    @classmethod
    def load(cls, path: Path) -> "Contestant":
        """From settings.yaml; the time begins now. Raises KdslError in one sentence for what cannot be loaded."""
        settings = read_settings(path)
        time = TimeBudget(settings.hours * 3600, settings.questions, settings.longest)
        pixels = PixelBudget(settings.pixels.min, settings.pixels.max)
        adapters = None if settings.adapter is None else {"default": settings.adapter}
        name, most = str(settings.model), settings.max_tokens
        if settings.encoder is not None and settings.projection is not None:
            encoder, folder = str(settings.encoder), settings.projection
            return cls(ProjectedModel.load(name, encoder, folder, pixels, most), settings, time)
        return cls(LocalModel.load(name, pixels, most, adapters=adapters), settings, time)

    def answer(self, query: object, history: object) -> Outcome:
        """The model's answer to a query after a history; decoding ends when its time is over."""
        turns = (*turns_of(history), user_turn(query))
        return self._first_that_works(turns, lambda asked: self._chat.generate([asked])[0])

    def perplexity(self, query_and_answer: object, history: object) -> Outcome:
        """The perplexity of the answer in (query, answer) after a history."""
        query, answer = _with_answer(query_and_answer)
        turns = (*turns_of(history), user_turn(query))
        if not answer:
            return Outcome(None, messages_of(turns), "there is no answer to be scored")
        base = math.e if self._settings.perplexity_base == "e" else 2.0
        return self._first_that_works(turns, lambda asked: self._chat.perplexity(asked, [answer], base)[0])

    def _first_that_works(self, turns: tuple[ChatTurn, ...], ask: Callable[[Sequence[ChatTurn]], Value]) -> Outcome:
        """What is said of the whole dialogue; where the model fails on it, of ever less of it."""
        history, problem = messages_of(turns), _NO_TIME
        end = monotonic() + self._time.next()
        if not turns[-1].parts:
            return Outcome(None, history, "nothing is asked")
        for asked in _ever_less(turns, self._settings.max_tokens // 2):
            left = end - monotonic()
            if left <= 0:
                break
            try:
                usable = self._usable(asked, _DECODING * left)
                self._decoder.decoding_seconds = max(0.0, end - monotonic())
                return Outcome(ask(usable), history)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a panic in a library in Rust is no Exception
                log.warning("cannot be answered: %s", error, exc_info=True)
                problem = f"{type(error).__name__}: {error}"
        return Outcome(None, history, problem)

    def _usable(self, turns: tuple[ChatTurn, ...], seconds: float) -> tuple[ChatTurn, ...]:
        """The turns as the model takes them, made in about so many seconds: what it does not hear, it reads."""
        end = monotonic() + seconds
        prepared = self._media.prepared(turns, seconds)
        if self._model.hears():
            return prepared
        for name in unheard(prepared, self._transcripts):
            if monotonic() >= end:
                break
            self._transcribe(name)
        return in_text(prepared, self._transcripts)

    def _transcribe(self, name: str) -> None:
        try:
            [done] = self._transcriber.transcribed([name], self._folder)
        except KdslError as error:
            log.warning("a sound is not written down: %s", error)
            return
        if done.transcript is None:
            log.warning("a sound is not written down: %s", done.problem)
        else:
            self._transcripts[name] = done.transcript


def _ever_less(turns: tuple[ChatTurn, ...], longest: int) -> Iterator[tuple[ChatTurn, ...]]:
    """The dialogue, its last turn, and the end of what is said in that: at most `longest` characters."""
    yield turns
    last = turns[-1]
    if len(turns) > 1:
        yield (last,)
    said = ChatTurn(last.role, (Part("text", last.text[-longest:]),))
    if last.text and said != last:
        yield (said,)


def _with_answer(given: object) -> tuple[object, str]:
    """(query, answer) of what was given to be scored; whatever else it is, is a query without an answer."""
    if not isinstance(given, list | tuple) or len(given) != 2:
        return given, ""
    return given[0], user_turn(given[1]).text
