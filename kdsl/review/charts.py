"""Charts as SVG without styles or scripts: colours come from the page's own style sheet by class."""

from collections.abc import Sequence
from unicodedata import east_asian_width

from markupsafe import Markup, escape

_ROW, _NAME, _WIDE, _NUMBER = 24, 150, 230, 140
_CHARACTERS = 24
_SCALE = (0.0, 0.5, 1.0)
_LEFT, _SPAN, _HALF = 12, 516, 50
"""Of a chart of similarities: margin, width, and the height of either half."""
_HIGH = 120
"""Height of a histogram."""


def stacked_bars(title: str, rows: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> Markup:
    """One bar a row, of (class, words, count) parts, all on one scale; the total stands behind."""
    most = max((sum(count for *_, count in parts) for _, parts in rows), default=0) or 1
    body = []
    for i, (name, parts) in enumerate(rows):
        x = float(_NAME)
        body.append(_text(_NAME - 6, i, name, "name"))
        for kind, words, count in parts:
            width = _WIDE * count / most
            body.append(_rect(x, i, width, kind, f"{name}: {words} {count}"))
            x += width
        body.append(_text(x + 6, i, str(sum(count for *_, count in parts)), "number"))
    return _svg(len(rows), body, title)


def intervals(title: str, rows: Sequence[tuple[str, float | None, float, float, str]]) -> Markup:
    """One (name, value, low, high, words) a row on a scale from 0 to 1; a row without a value shows only its words."""
    body = [
        Markup('<line class="axis" x1="{0}" y1="0" x2="{0}" y2="{1}"/>').format(
            _NAME + _WIDE * share, _ROW * len(rows)
        )
        for share in _SCALE
    ]
    body += [_text(_NAME + _WIDE * share, len(rows), f"{share:.0%}", "tick") for share in _SCALE]
    for i, (name, value, low, high, words) in enumerate(rows):
        body.append(_text(_NAME - 6, i, name, "name"))
        if value is not None:
            y = _ROW * i + _ROW / 2
            body.append(
                Markup('<line class="whisker" x1="{:.1f}" y1="{}" x2="{:.1f}" y2="{}"/>').format(
                    _NAME + _WIDE * low, y, _NAME + _WIDE * high, y
                )
            )
            body.append(
                Markup('<circle class="dot" cx="{:.1f}" cy="{}" r="4"><title>{}</title></circle>').format(
                    _NAME + _WIDE * value, y, f"{name}: {words}"
                )
            )
        body.append(_text(_NAME + _WIDE + 8, i, words, "number"))
    return _svg(len(rows) + 1, body, title)


def shares(title: str, rows: Sequence[tuple[str, str, float]]) -> Markup:
    """One (name, class, value) a row: bars on a scale from 0 to 1, the value behind."""
    body = []
    for i, (name, kind, value) in enumerate(rows):
        body.append(_text(_NAME - 6, i, name, "name"))
        body.append(_rect(_NAME, i, _WIDE * value, kind, f"{name}: {value:.3f}"))
        body.append(_text(_NAME + _WIDE * value + 6, i, f"{value:.3f}", "number"))
    return _svg(len(rows), body, title)


def lines(title: str, series: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """One (class, values that came one after the other) a line, all on one scale; nothing for a single value."""
    if not series or len(series[0][1]) < 2:
        return Markup("")
    everything = [value for _, values in series for value in values]
    low, high = min(everything), max(everything)
    span = (high - low) or 1.0
    body = [_edge(high, 14), _edge(low, 114)]
    for kind, values in series:
        points = " ".join(
            f"{60 + 460 * i / (len(values) - 1):.1f},{110 - 100 * (value - low) / span:.1f}"
            for i, value in enumerate(values)
        )
        body.append(Markup('<polyline class="line {}" points="{}"/>').format(kind, points))
    return Markup('<svg class="chart" viewBox="0 0 540 120" role="img" aria-label="{}">{}</svg>').format(
        title, Markup("").join(body)
    )


def similarities(
    title: str, right: Sequence[float], wrong: Sequence[float], low: float, at: float, steps: int = 35
) -> Markup:
    """How many samples lie where between the similarities `low` and 1, right ones above the line and others below it,
    and the threshold `at`. Heights are square roots, so that few samples are seen beside many."""
    counts = [[0] * steps, [0] * steps]
    for side, values in zip(counts, (right, wrong), strict=True):
        for value in values:
            if value >= low:
                side[min(int((value - low) / (1 - low) * steps), steps - 1)] += 1
    most, width = max(*counts[0], *counts[1], 1), _SPAN / steps
    body = []
    for kind, side in zip(("accepted", "rejected"), counts, strict=True):
        for step, count in enumerate(side):
            height = _HALF * (count / most) ** 0.5
            y = _HALF - height if kind == "accepted" else _HALF
            begin = low + (1 - low) * step / steps
            bar = '<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
            words = f"{begin:.2f}: {count}"
            body.append(Markup(bar).format(kind, _LEFT + width * step, y, width - 1, height, words))
    body.append(Markup('<line class="axis" x1="{0}" y1="{2}" x2="{1}" y2="{2}"/>').format(_LEFT, _LEFT + _SPAN, _HALF))
    for tenth in range(round(10 * low), 11):
        x = _LEFT + _SPAN * (tenth / 10 - low) / (1 - low)
        body.append(Markup('<text class="tick" x="{:.1f}" y="{}">{:g}</text>').format(x, 2 * _HALF + 14, tenth / 10))
    x = _LEFT + _SPAN * (max(at, low) - low) / (1 - low)
    body.append(Markup('<line class="threshold" x1="{0:.1f}" y1="0" x2="{0:.1f}" y2="{1}"/>').format(x, 2 * _HALF))
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _SPAN + 2 * _LEFT, 2 * _HALF + 20, title, Markup("").join(body)
    )


def histogram(title: str, columns: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> Markup:
    """How many lie where between 0 and 1: columns of (words, (class, words, count) parts), which lie on each other."""
    most, width = (
        max((sum(count for *_, count in parts) for _, parts in columns), default=0) or 1,
        _SPAN / len(columns),
    )
    bar = '<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    body = []
    for i, (name, parts) in enumerate(columns):
        y = float(_HIGH)
        for kind, words, count in parts:
            height = _HIGH * count / most
            y -= height
            body.append(Markup(bar).format(kind, _LEFT + width * i, y, width - 1, height, f"{name}: {words} {count}"))
    body.append(Markup('<line class="axis" x1="{0}" y1="{2}" x2="{1}" y2="{2}"/>').format(_LEFT, _LEFT + _SPAN, _HIGH))
    for fifth in range(6):
        tick = Markup('<text class="tick" x="{:.1f}" y="{}">{:g}</text>')
        body.append(tick.format(_LEFT + _SPAN * fifth / 5, _HIGH + 14, fifth / 5))
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _SPAN + 2 * _LEFT, _HIGH + 20, title, Markup("").join(body)
    )


def compared(title: str, rows: Sequence[tuple[str, float, float | None, str]]) -> Markup:
    """One (name, value, what to compare it with or None, words) a row: a bar, across which a line stands at the other.

    All are on one scale from 0; the words stand behind.
    """
    most = max((max(value, other or 0.0) for _, value, other, _ in rows), default=0.0) or 1.0
    body = []
    for i, (name, value, other, words) in enumerate(rows):
        body.append(_text(_NAME - 6, i, name, "name"))
        body.append(_rect(_NAME, i, _WIDE * value / most, "day", f"{name}: {words}"))
        if other is not None:
            marker = Markup('<line class="marker" x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}"/>')
            body.append(marker.format(_NAME + _WIDE * other / most, _ROW * i + 2, _ROW * (i + 1) - 2))
        body.append(_text(_NAME + _WIDE * max(value, other or 0.0) / most + 6, i, words, "number"))
    return _svg(len(rows), body, title)


def _edge(value: float, y: int) -> Markup:
    return Markup('<text class="number" x="0" y="{}">{:.3f}</text>').format(y, value)


def _svg(rows: int, body: Sequence[Markup], title: str) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _NAME + _WIDE + _NUMBER, max(rows, 1) * _ROW, title, Markup("").join(body)
    )


def _rect(x: float, row: int, width: float, kind: str, title: str) -> Markup:
    return Markup('<rect class="bar {}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"><title>{}</title></rect>').format(
        kind, x, _ROW * row + 4, width, _ROW - 8, title
    )


def _text(x: float, row: int, text: str, kind: str) -> Markup:
    short = _cut(text) if kind == "name" else text
    return Markup('<text class="{}" x="{:.1f}" y="{}">{}<title>{}</title></text>').format(
        kind, x, _ROW * row + _ROW / 2 + 4, short, escape(text)
    )


def _cut(text: str) -> str:
    """What fits before a bar: Chinese characters are twice as wide as others."""
    width = 0
    for i, character in enumerate(text):
        width += 2 if east_asian_width(character) in "WF" else 1
        if width > _CHARACTERS:
            return text[: i - 1] + "…"
    return text
