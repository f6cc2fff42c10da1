"""OCR pages without what tells nothing about a page: noise, the phone's status bar, repetitions, exact numbers."""

import re
from collections.abc import Sequence
from dataclasses import replace

from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.text import normalise

LEAST_SCORE = 0.6
"""Lines that OCR was less sure of are more often noise than text."""
STATUS_BAR = 0.06
"""The share of a page's height, from the top, in which a phone shows its clock, signal and battery."""
SIMILAR_LINE = 0.8
"""Jaccard similarity of character pairs from which a line repeats an earlier one."""

PRICE, NUMBER, PHONE, DATE, TIME = "<价格>", "<单号>", "<电话>", "<日期>", "<时间>"

_AMOUNT = r"\d[\d,，]*(?:\.\d+)?"
_CLOCK = r"(?:[01]?\d|2[0-3])[:：][0-5]\d"
_UNIT = r"[\d.%A-Za-z]|[厘毫分平]?米|[毫]?升|[千公]?[斤克]|寸|度|版"
_MASKS = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in {
            # The year first: OCR often leaves no space between day and hour.
            "date": r"(?<!\d)(?:19|20)\d\d(?:[-/.]\d\d[-/.]\d\d|[-/.年]\d{1,2}[-/.月]\d{1,2}日?(?!\d))"
            r"|(?<!\d)\d{1,2}月\d{1,2}[日号]"
            rf"|(?<!\d)\d\d[-/]\d\d(?=\s*{_CLOCK})",
            "time": rf"(?<!\d)(?<!\d[:：]){_CLOCK}(?:[:：][0-5]\d)?(?!\d)",
            "phone": r"(?<![\dA-Za-z])(?:1[3-9]\d[\d*]{4}\d{4}|[48]00-?\d{3}-?\d{4}|0\d{2,3}-\d{7,8})(?![\d*])",
            "number": r"(?<![\dA-Za-z])[A-Za-z]{0,4}\d{9,}(?![\dA-Za-z])",
            "signed": rf"(?<=[¥￥$])\s*{_AMOUNT}",
            "price": rf"(?<![\d.]){_AMOUNT}(?=\s*元)|(?<![\d.])\d+\.\d\d(?!{_UNIT})",
        }.items()
    )
)
_TOKENS = {"date": DATE, "time": TIME, "phone": PHONE, "number": NUMBER, "signed": PRICE, "price": PRICE}

_WORD = re.compile(r"[^\W_]")
_STARTS_WITH_CLOCK = re.compile(rf"\D{{0,3}}{_CLOCK}")
_SIGNAL = re.compile(
    r"(?:\d{1,3}%?|[2-6]G\+?|HD\d?|VO\d?|WI-?FI|LTE|[\d.]+\s*[KM]B?/?S|中国(?:移动|联通|电信|广电))+", re.IGNORECASE
)
_SHORT = 8
"""Characters of what stands beside the clock, at most."""
_LONG_ENOUGH = 6
"""Characters from which two lines can be nearly the same; of shorter ones one character makes another word."""


def cleaned(page: OcrPage) -> OcrPage:
    """The page with the lines that say something, in reading order, their prices, ids, dates and times masked.

    Lines keep their boxes and scores. Cleaning a cleaned page changes nothing.
    """
    lines = [line for line in _without_status_bar(page) if line.score >= LEAST_SCORE and _WORD.search(line.text)]
    masked = [replace(line, text=mask(line.text)) for line in in_reading_order(lines)]
    # Of repeated lines the first is kept, and an order may change once lines between columns are gone.
    return replace(page, lines=tuple(in_reading_order(_without_repetitions(masked))))


def cleaned_sidecars(sidecars: Sidecars) -> Sidecars:
    """The same sidecars with cleaned OCR pages."""
    return replace(sidecars, ocr={image: cleaned(page) for image, page in sidecars.ocr.items()})


def mask(text: str) -> str:
    """Tokens such as `<价格>` in place of prices, order and parcel numbers, phone numbers, dates and times."""
    while (masked := _MASKS.sub(lambda match: _TOKENS[match.lastgroup or ""], text)) != text:
        text = masked  # a number that touched another one is seen once that one is gone
    return text


def in_reading_order(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """From top to bottom and from left to right; columns whose lines are not level with each other one by one.

    Recursive X-Y cut (Nagy and Seth 1984): a block is cut wherever no line stands, into bands and these into columns.
    """
    bands = _cut(list(lines), 1)
    if len(bands) > 1:
        return [line for band in bands for line in in_reading_order(band)]
    columns = _cut(list(lines), 0)
    if len(columns) > 1:
        return [line for column in columns for line in in_reading_order(column)]
    return sorted(lines, key=lambda line: (_middle(line), line.box, line.text, line.score))


def _cut(lines: list[OcrLine], axis: int) -> list[list[OcrLine]]:
    """Groups of lines between which nothing stands, along x (0) or y (1)."""
    groups: list[list[OcrLine]] = []
    end = float("-inf")
    for line in sorted(lines, key=lambda line: (_extent(line, axis), line.box, line.text, line.score)):
        start, stop = _extent(line, axis)
        if start >= end:
            groups.append([])
        groups[-1].append(line)
        end = max(end, stop)
    return groups


def _extent(line: OcrLine, axis: int) -> tuple[float, float]:
    """From where to where a line reaches, a little less in height, as the boxes of neighbouring rows may touch."""
    start, stop = line.box[axis], line.box[axis + 2]
    margin = (stop - start) / 8 if axis else 0.0
    return start + margin, stop - margin


def _without_status_bar(page: OcrPage) -> list[OcrLine]:
    top = [line for line in page.lines if _middle(line) < STATUS_BAR * page.size[1]]
    clocks = [line for line in top if _STARTS_WITH_CLOCK.match(line.text) and len(line.text) <= 2 * _SHORT]
    bar = {*clocks, *(line for line in top if _SIGNAL.fullmatch(line.text.replace(" ", "")))}
    bar |= {
        line
        for line in top
        for clock in clocks
        if len(line.text) <= _SHORT and clock.box[1] < _middle(line) < clock.box[3]
    }
    return [line for line in page.lines if line not in bar]


def _without_repetitions(lines: Sequence[OcrLine]) -> list[OcrLine]:
    kept: list[OcrLine] = []
    seen: set[str] = set()
    long: list[frozenset[str]] = []
    for line in lines:
        text = normalise(line.text)
        pairs = frozenset(text[i : i + 2] for i in range(len(text) - 1)) if len(text) >= _LONG_ENOUGH else frozenset()
        if text in seen or (pairs and any(_similar(pairs, other) for other in long)):
            continue
        seen.add(text)
        if pairs:
            long.append(pairs)
        kept.append(line)
    return kept


def _similar(first: frozenset[str], second: frozenset[str]) -> bool:
    if SIMILAR_LINE * max(len(first), len(second)) > min(len(first), len(second)):
        return False
    common = len(first & second)
    return common >= SIMILAR_LINE * (len(first) + len(second) - common)


def _middle(line: OcrLine) -> float:
    return (line.box[1] + line.box[3]) / 2
