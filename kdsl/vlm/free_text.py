"""What a model's answer says: without its thoughts, and which of the labels it is."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kdsl.errors import KdslError
from kdsl.text import normalise

ENOUGH = 16
"""After so many answers of which none can be used the model is of no use."""

_OPEN = r"<(?:seed:)?(?:think|thinking|thought|reasoning)>|◁think▷"
_CLOSED = r"</(?:seed:)?(?:think|thinking|thought|reasoning)>|◁/think▷|<\|message\|>"
_THOUGHT = re.compile(rf"(?:{_OPEN})(?:(?!{_OPEN}).)*?(?:{_CLOSED})", re.DOTALL | re.IGNORECASE)
_OPENED, _CLOSING = re.compile(_OPEN, re.IGNORECASE), re.compile(_CLOSED, re.IGNORECASE)
_END = re.compile(r"<\|(?:im_end|endoftext|eot_id|end|return)\|>|</s>")
_TOKEN = re.compile(r"<\|\w+\|>")
"""What chat formats put around an answer, where a server lets it through."""
_ENCLOSED = re.compile(r"<(answer|label|output)>(.*)</\1>", re.DOTALL | re.IGNORECASE)

_AROUND = "。.!?,;:、…~'\"“”‘’`´「」『』《》〈〉【】〖〗()[]{}<>*_"
"""Punctuation, quotes, brackets and emphasis, as `normalise` leaves them."""
_BULLET = re.compile(r"(?:[-+•·]|#+)\s+|\\boxed\s*\{")
_FENCE = re.compile(r"```\w*\s")
_PREFIX = re.compile(
    r"(?:(?:the|my|final|correct)\s+)*(?:最终|分类)*(?:标签|分类|类别|类型|答案|回答|结果|labels?|answer|class|category|result|output)"
    r"[\s*_`'\"]*(?:[:=]|是|为|is\b)"
)


def said(text: str) -> str:
    """The answer itself: without what the model thought before it, end tokens, and white space around it.

    A thought may lack its beginning, which a chat template can hold, and its end, where the answer was cut: then there
    is no answer.

    >>> said("<think>退款？</think>\\n\\n发票。<|im_end|>")
    '发票。'
    """
    text = _THOUGHT.sub("", text)
    closings = list(_CLOSING.finditer(text))
    text = text[closings[-1].end() :] if closings else text
    opened = _OPENED.search(text)
    text = _END.split(text[: opened.start()] if opened else text, maxsplit=1)[0]
    text = _TOKEN.sub("", text).strip()
    enclosed = _ENCLOSED.fullmatch(text)
    return enclosed[2].strip() if enclosed else text


def find_label(text: str, labels: Sequence[str], cut: bool = False) -> int | None:
    """Index of the label that an answer is; None where it is none, or may be two.

    A label as it is written is itself. Otherwise white space, quotes, emphasis, punctuation around it, full-width
    forms, case, and `标签：` before it do not count, as long as no two labels are told apart by them. An answer that
    was `cut` is no label with which another one begins.
    """
    known, plain, shared = _forms(tuple(labels))
    found = known.get(text.strip())
    if found is None:
        form = _plain(text)
        found = None if not form or form in shared else plain.get(form)
    if found is None or not cut:
        return found
    begins = _plain(labels[found])
    return None if any(_plain(label).startswith(begins) for label in labels if label != labels[found]) else found


@lru_cache(maxsize=64)
def _forms(labels: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int], set[str]]:
    """Labels as they are, in plain form, and the plain forms that several have."""
    plain = [_plain(label) for label in labels]
    shared = {form for form, count in Counter(plain).items() if count > 1}
    known = {label.strip(): index for index, label in reversed(list(enumerate(labels)))}
    return known, {form: index for index, form in enumerate(plain)}, shared


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """The form in which labels are compared where they are not the same; empty for punctuation alone."""
    text = normalise(_FENCE.sub("", said(text)))
    before = None
    while text != before:
        before = text
        text = text.strip(_AROUND + " ")
        for pattern in (_BULLET, _PREFIX):
            match = pattern.match(text)
            text = text[match.end() :] if match else text
    return text.replace(" ", "")


class NothingUsable(KdslError):
    """A model says nothing that can be used, so that there is no sense in asking it more."""


@dataclass
class Strays:
    """Answers that cannot be used, counted, with one of them."""

    answers: int = 0
    """In all."""
    strays: int = 0
    example: str = ""

    def count(self, strays: Iterable[str | None]) -> None:
        """For each answer what was said where that cannot be used, None where it can."""
        for stray in strays:
            self.answers += 1
            if stray is not None:
                self.strays += 1
                self.example = self.example or stray

    def require_any(self, who: str, wanted: str, least: int = ENOUGH) -> None:
        """Raises NothingUsable where `least` answers or more were given, and none is what was `wanted`: `a label`."""
        if self.answers >= least and 0 < self.strays == self.answers:
            raise NothingUsable(
                f"{who}: none of its {self.answers} answers is {wanted}, for example "
                f"{shortened(self.example)}; name a model that answers what it is asked, or look at how it is served"
            )

    def told(self, what: str) -> str:
        """`17 of 36 answers are none of the labels, for example '…'`, where that is `what` they are."""
        return f"{self.strays} of {self.answers} answers are {what}, for example {shortened(self.example)}"


def shortened(answer: str) -> str:
    """An answer in quotes, for a sentence."""
    line = " ".join(answer.split())
    return repr(line if len(line) <= 60 else line[:60] + "…")
