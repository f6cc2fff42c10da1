"""One decision printed for a person: the text with evidence marked, the rules, the probabilities, the reason."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdsl.arbiter.decision import Decision, WeighedHit
from kdsl.fields.sidecar import Sidecars
from kdsl.models.explanation import Explanation, NearSample

_ROLES = {"user": "user ", "agent": "agent"}
_MARK = "bold reverse"
_LONGEST = 300
"""Characters of a turn shown without evidence, and around it."""
_TOP = 5
"""Labels whose probabilities are shown."""

Span = tuple[int, int]
Place = tuple[int | None, str | None, int | None]
"""Turn, image and OCR line that a span is in."""


def print_decision(decision: Decision, sidecars: Sidecars, explanation: Explanation | None = None) -> None:
    """Print to stdout, with what the classifier looked at besides the sample.

    Evidence is shown in reverse on a terminal and between 【 and 】 elsewhere.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    sample = decision.sample
    console.print(Text(f"{sample.id}  {sample.task}", style="bold"))
    spans = _spans(decision.hits)
    for line in [*_dialogue(decision, spans, console), *_pages(decision, sidecars, spans, console)]:
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_rules(decision) if decision.hits else Text("No rule holds.", style="dim"))
    console.print(_probabilities(decision))
    for part in _explanation(explanation or Explanation(), decision.labels):
        console.print(part)
    if decision.model_reason:
        console.print(Text(f"The model's reason: {decision.model_reason}"))
    console.print(Text(f"{decision.label}", style="bold"), Text(f"decided by the {decision.by}: {decision.reason}."))
    if sample.label is not None:
        console.print(Text(f"The sample's own label: {sample.label}", style="dim"))


def _spans(hits: Iterable[WeighedHit]) -> dict[Place, list[Span]]:
    found: dict[Place, list[Span]] = {}
    for hit in hits:
        for evidence in hit.hit.evidence:
            if evidence.span is not None:
                found.setdefault((evidence.turn, evidence.image, evidence.line), []).append(evidence.span)
    return found


def _dialogue(decision: Decision, spans: dict[Place, list[Span]], console: Console) -> Iterator[Text]:
    for index, turn in enumerate(decision.sample.turns):
        text = Text(f"{index:>3} {_ROLES[turn.role]}  ", style="cyan" if turn.role == "user" else "dim")
        yield text.append_text(_marked(turn.text, spans.get((index, None, None), []), console))


def _pages(decision: Decision, sidecars: Sidecars, spans: dict[Place, list[Span]], console: Console) -> Iterator[Text]:
    """Every image, and of its text the lines that rules speak about."""
    for image in decision.sample.images:
        page = sidecars.ocr.get(image)
        read = "no text was read" if page is None else f"{len(page.lines)} lines of text"
        yield Text(f"image {image}: {read}", style="dim")
        if page is not None:
            for index, line in enumerate(page.lines):
                if found := spans.get((None, image, index)):
                    yield Text(f"    line {index}  ").append_text(_marked(line.text, found, console))
        if (found := spans.get((None, image, None))) and image in sidecars.captions:
            yield Text("    caption  ").append_text(_marked(sidecars.captions[image], found, console))


def _marked(text: str, spans: list[Span], console: Console) -> Text:
    """The text with `spans` marked; long stretches without any are shortened."""
    result = Text()
    position = 0
    for start, end in _merged(spans):
        result.append(_shortened(text[position:start], position > 0, True))
        found = _one_line(text[start:end])
        result.append(found if console.is_terminal else f"【{found}】", style=_MARK)
        position = end
    return result.append(_shortened(text[position:], position > 0, False))


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _shortened(text: str, after: bool, before: bool) -> str:
    """At most `_LONGEST` characters next to the marks on either side."""
    limit = _LONGEST * (1 + (after and before))
    if len(text) <= limit:
        return _one_line(text)
    head = text[:_LONGEST] if after or not before else ""
    tail = text[-_LONGEST:] if before else ""
    return _one_line(f"{head} … {tail}")


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _rules(decision: Decision) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("rule", "label", "reliability", "weight", "holds because"):
        table.add_column(name, justify="right" if name in ("reliability", "weight") else "left", overflow="fold")
    for hit in decision.hits:
        rule = hit.hit.rule
        conditions = Text(" and ".join(str(condition) for condition in rule.conditions))
        table.add_row(rule.id, Text(rule.label), f"{hit.reliability:.2f}", f"{hit.weight:.2f}", conditions)
    return table


def _probabilities(decision: Decision) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("label", overflow="fold")
    table.add_column("model alone", justify="right")
    table.add_column("with rules", justify="right")
    order = np.argsort(-np.maximum(decision.merged, decision.model), kind="stable")[:_TOP]
    for index in order:
        chosen = decision.labels[index] == decision.label
        cells = f"{decision.model[index]:.3f}", f"{decision.merged[index]:.3f}"
        table.add_row(Text(decision.labels[index]), *cells, style="bold" if chosen else "")
    return table


def _explanation(explanation: Explanation, labels: Sequence[str]) -> Iterator[Table | Text]:
    if explanation.near:
        yield _near(explanation.near, labels)
    elif explanation.near is not None:
        yield Text("No other training sample is like it.", style="dim")
    if explanation.described is not None:
        label, likeness = labels[explanation.described.label], explanation.described.likeness
        yield Text(f"nearest label description: {label} (likeness {likeness:.2f})")
    if explanation.weights:
        counted = ", ".join(f"{name} {weight:.2f}" for name, weight in explanation.weights.items())
        yield Text(f"what each opinion of the model counts: {counted}", style="dim")


def _near(samples: Sequence[NearSample], labels: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("nearest samples", "label", "similarity", "words"):
        table.add_column(name, justify="right" if name == "similarity" else "left", overflow="fold")
    for sample in samples:
        words = Text(_one_line(sample.words)) if sample.words else Text("no words", style="dim")
        table.add_row(Text(sample.id), Text(labels[sample.label]), f"{sample.similarity:.2f}", words)
    return table
