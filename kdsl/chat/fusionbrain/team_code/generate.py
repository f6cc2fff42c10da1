"""The three functions that a runner of FusionBrain Challenge 3.0 calls. None of them ever raises anything.

The documents of the challenge say that `generate_text` returns a text and `get_ppl` a number. Solutions that ran in it
return (text, history) and (number, history). In the first round nothing tells which of the two a runner expects, so
what is returned is both: a text (a number) in all that is done with texts (numbers), which gives the pair where it is
taken apart (`text, history = …`) or asked for its parts (`[0]`, `[1]`). Only who goes through the characters of an
answer one by one has to make a `str` of it first.

This file needs nothing but Python: it answers, shortly, even where nothing else can be imported or loaded.
"""

import contextlib
import math
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHORT_ANSWER = "I do not know."
"""Where there is no other answer."""
HIGH_PERPLEXITY = 1e6
"""Where there is no other perplexity: more than that of a model that knows nothing, the size of its vocabulary."""

_NO_MODEL = "no model is loaded; stderr says why"
_HERE = Path(__file__).resolve().parent


class Answer(str):
    """The text of an answer, and the pair (text, history) where it is taken apart."""

    history: Any
    problem: str
    """Why it is the short answer; empty where it is the model's."""

    def __new__(cls, text: object = "", history: Any = None, problem: str = "") -> "Answer":
        answer = super().__new__(cls, text)
        answer.history, answer.problem = history, problem
        return answer

    def __iter__(self) -> Iterator[Any]:
        return iter((str(self), self.history))

    def __getitem__(self, key: Any) -> Any:
        return (str(self), self.history)[key] if key in (0, 1) else super().__getitem__(key)

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)  # who unpickles it may not have this file


class Perplexity(float):
    """A perplexity, and the pair (perplexity, history) where it is taken apart."""

    history: Any
    problem: str
    """Why it is the high one; empty where it is the model's."""

    def __new__(cls, value: Any = 0.0, history: Any = None, problem: str = "") -> "Perplexity":
        perplexity = super().__new__(cls, value)
        perplexity.history, perplexity.problem = history, problem
        return perplexity

    def __iter__(self) -> Iterator[Any]:
        return iter((float(self), self.history))

    def __getitem__(self, key: Any) -> Any:
        return (float(self), self.history)[key]

    def __len__(self) -> int:
        return 2

    def __bool__(self) -> bool:
        return float(self) != 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float(self),)


def setup_model_and_tokenizer() -> tuple[Any, Any]:
    """What settings.yaml names, loaded; (None, None) where it cannot be."""
    try:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing waits for a network that is not there
        sys.path.insert(0, str(_HERE / "packages"))
        from kdsl.chat.fusionbrain.contestant import Contestant

        contestant = Contestant.load(_HERE / "settings.yaml")
        return contestant, contestant.tokenizer
    except BaseException as error:
        _tell(error)
        return None, None


def generate_text(
    model: Any, tokenizer: Any, cur_query_list: Any, history_list: Any = None, **other_name: Any
) -> Answer:
    """The answer to a query after a history of any name and form; kdsl/chat/fusionbrain/history.py lists the forms."""
    history = _given(history_list, other_name)
    if model is None:
        return Answer(SHORT_ANSWER, history, _NO_MODEL)
    try:
        text, after, problem = model.answer(cur_query_list, history)
        return Answer(text or SHORT_ANSWER, after, problem)
    except BaseException as error:
        return Answer(SHORT_ANSWER, history, _tell(error))


def get_ppl(model: Any, tokenizer: Any, cur_query_tuple: Any, history: Any = None, **other_name: Any) -> Perplexity:
    """The perplexity of the answer in (query, answer)."""
    history = _given(history, other_name)
    if model is None:
        return Perplexity(HIGH_PERPLEXITY, history, _NO_MODEL)
    try:
        value, after, problem = model.perplexity(cur_query_tuple, history)
        usable = value is not None and math.isfinite(value)
        return Perplexity(min(value, HIGH_PERPLEXITY) if usable else HIGH_PERPLEXITY, after, problem)
    except BaseException as error:
        return Perplexity(HIGH_PERPLEXITY, history, _tell(error))


def _given(history: Any, other_name: dict[str, Any]) -> Any:
    """The history by whichever name it was given: runners call it history_list, history or history_tensor."""
    return next((value for value in (history, *other_name.values()) if value is not None), None)


def _tell(error: BaseException) -> str:
    """A traceback on stderr, and what it is about.

    Of any exception: a panic in a library in Rust is no `Exception`. But who presses Ctrl-C wants an end.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    with contextlib.suppress(Exception):
        traceback.print_exception(error, file=sys.stderr)
        return f"{type(error).__name__}: {error}"
    return type(error).__name__
