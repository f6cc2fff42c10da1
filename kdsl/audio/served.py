"""Whisper behind an OpenAI-compatible server: `/v1/audio/transcriptions` of vLLM, speaches, LocalAI, OpenAI."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import isfinite
from typing import Any

from kdsl.audio.pieces import LONGEST_PIECE, Piece
from kdsl.audio.recogniser import Heard
from kdsl.audio.transcript import Word
from kdsl.audio.wav import wav_bytes
from kdsl.hosts import Consent
from kdsl.http_client import FormField, HttpClient, ServerError, chosen_model, served_models
from kdsl.text import writable

_PATH = "/audio/transcriptions"
_CONCURRENCY = 8
_TIMEOUT, _RETRIES = 120.0, 6
_FORMS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ),
    (("response_format", "verbose_json"),),
    (("response_format", "json"),),
)
"""How an answer is asked for; servers and models that refuse one may take the next, which tells less."""


class ServedRecogniser:
    """Implements `Recogniser`. The server is contacted when it is given its first piece."""

    at_once = 2 * _CONCURRENCY
    longest = LONGEST_PIECE

    def __init__(self, address: str, consent: Consent | None = None) -> None:
        """`address`: http://host:port/v1, or http://host:port/v1#model where it serves several.

        Without `consent` only this machine is contacted.
        """
        self._address, _, self._wanted = address.partition("#")
        self._consent = consent
        self._form = 0
        """Of `_FORMS`, the first that the server has not refused."""

    @property
    def name(self) -> str:
        """The model's name where the address has one, else the address."""
        return self._wanted or self._address

    def recognise(self, pieces: Sequence[Piece]) -> list[Heard | str]:
        """See `Recogniser.recognise`; a piece that the server refuses is told by what it says.

        Raises KdslError where the server cannot be reached, or answers nothing of the kind.
        """
        if not pieces:
            return []
        self._model  # noqa: B018  before threads ask: the first request finds out which model there is
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            return list(pool.map(self._heard, pieces))

    def _heard(self, piece: Piece) -> Heard | str:
        sound = ("sound.wav", wav_bytes(piece.samples), "audio/wav")
        fields: list[tuple[str, FormField]] = [("file", sound), ("model", self._model)]
        for form in range(self._form, len(_FORMS)):
            try:
                answer = self._client.post_form(_PATH, [*fields, *_FORMS[form]])
            except ServerError as error:
                if not error.refused:
                    raise
                refusal = error
                continue
            self._form = max(self._form, form)
            return self._told(answer, piece.seconds)
        return f"the server refuses it: {refusal.message or refusal.status}"

    def _told(self, answer: dict[str, Any], seconds: float) -> Heard:
        text, language = answer.get("text"), answer.get("language")
        if not isinstance(text, str):
            raise self._client.garbage(_PATH, "an answer without a text")
        words = _timed(answer.get("words"), "word", seconds) or _timed(answer.get("segments"), "text", seconds)
        said = writable(text).strip()
        return Heard(said, words if said else (), language if isinstance(language, str) and said else "")

    @cached_property
    def _client(self) -> HttpClient:
        return HttpClient(self._address, _TIMEOUT, _RETRIES, _CONCURRENCY, self._consent)

    @cached_property
    def _model(self) -> str:
        return chosen_model(self._client.url, served_models(self._client, self._wanted), self._wanted)


def _timed(told: Any, key: str, seconds: float) -> tuple[Word, ...]:
    """Words, or whole phrases, with their times; none where one of them is anything else."""
    words = []
    for each in told if isinstance(told, list) else ():
        text, start, end = (each.get(k) for k in (key, "start", "end")) if isinstance(each, dict) else (None,) * 3
        if not isinstance(text, str) or not isinstance(start, int | float) or not isinstance(end, int | float):
            return ()
        if not (isfinite(start) and isfinite(end) and 0 <= start <= end):
            return ()
        words.append(Word(writable(text).strip(), min(start, seconds), min(end, seconds)))
    return tuple(word for word in words if word.word)
