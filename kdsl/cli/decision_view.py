"""One decision printed for a person: the text with evidence marked, the rules, the probabilities, the reason."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.marked import Found, Place, found_by_place, marked_pieces, one_line, seen_on, sounds_of
from kdsl.arbiter.multi_label_decision import AnyDecision, MultiLabelDecision
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.audio.transcript import clock
from kdsl.cli.console import RuleText, fits_a_window, results_console, results_table, visible
from kdsl.fields.sidecar import Sidecars
from kdsl.models.explanation import Explanation, NearSample

_ROLES = {"user": "user ", "agent": "agent"}
_MARK = "bold reverse"
_TOP = 5
"""Labels whose probabilities are shown."""


def print_decision(decision: AnyDecision, sidecars: Sidecars, explanation: Explanation | None = None) -> None:
    """Print to stdout, with what the classifier looked at besides the sample.

    Evidence is shown in reverse on a terminal and between 【 and 】 elsewhere.
    """
    console = results_console()
    sample = decision.sample
    console.print(Text(visible(f"{sample.id}  {sample.task}"), style="bold"))
    found = found_by_place(decision.rules)
    dialogue = _dialogue(decision, sidecars, found, console)
    for line in [*dialogue, *_pages(decision, sidecars, found, console)]:
        console.print(line, soft_wrap=not fits_a_window(console))
    console.print()
    console.print(_rules(decision) if decision.rules else Text("No rule holds.", style="dim"))
    console.print()
    console.print(_label_decisions(decision) if isinstance(decision, MultiLabelDecision) else _probabilities(decision))
    console.print()
    for part in _explanation(explanation or Explanation(), decision.labels):
        console.print(part)
    if isinstance(decision, MultiLabelDecision):
        for each in decision.held:
            console.print(Text(each.label, style="bold"), Text(f"decided by the {each.by}: {each.reason}."))
        if not decision.held:
            console.print(Text(f"{decision.reason}."))
    else:
        if decision.model_reason:
            console.print(Text(f"The model's reason: {decision.model_reason}"))
        label = Text(decision.label or "no label", style="bold")
        console.print(label, Text(f"decided {decision.by_whom}: {decision.reason}."))
    if sample.answer_words is not None:
        own = "label" if sample.labels is None else "labels"
        console.print(Text(f"The sample's own {own}: {sample.answer_words}", style="dim"))


def _dialogue(
    decision: AnyDecision, sidecars: Sidecars, found: Mapping[Place, list[Found]], console: Console
) -> Iterator[Text]:
    """A line a turn, and below it what is said in its sounds; then the sounds that belong to no turn."""
    for index, turn in enumerate(decision.sample.turns):
        text = Text(f"{index:>3} {_ROLES[turn.role]}  ", style="cyan" if turn.role == "user" else "dim")
        yield text.append_text(_marked(turn.text, found.get((index, None, None, None), ()), console))
        yield from _sounds(decision, index, sidecars, found, console)
    yield from _sounds(decision, None, sidecars, found, console)


def _sounds(
    decision: AnyDecision, turn: int | None, sidecars: Sidecars, found: Mapping[Place, list[Found]], console: Console
) -> Iterator[Text]:
    """Each sound of a turn, or of none, with how long it is and what is said in it."""
    for audio in sounds_of(decision.sample, turn):
        said = sidecars.transcripts.get(audio)
        if said is None:
            yield Text(visible(f"sound {audio}: nobody has written down what is said"), style="dim")
            continue
        here = found.get((turn, None, None, audio), ())
        yield Text(visible(f"sound {audio}, {clock(said.seconds)}: "), style="dim").append_text(
            _marked(said.text, here, console) if said.text else Text("nothing is said")
        )


def _pages(
    decision: AnyDecision, sidecars: Sidecars, found: Mapping[Place, list[Found]], console: Console
) -> Iterator[Text]:
    """Every image, and of what is seen on it and of its text what rules speak about."""
    for image in decision.sample.images:
        page = sidecars.ocr.get(image)
        read = "no text was read" if page is None else f"{len(page.lines)} lines of text"
        yield Text(f"image {image}: {read}", style="dim")
        for region, words in seen_on(image, decision.rules):
            yield Text(f"    {region}  ").append_text(_mark(words, console))
        if page is not None:
            for index, line in enumerate(page.lines):
                if here := found.get((None, image, index, None)):
                    yield Text(f"    line {index}  ").append_text(_marked(line.text, here, console))
        if (here := found.get((None, image, None, None))) and image in sidecars.captions:
            yield Text("    caption  ").append_text(_marked(sidecars.captions[image], here, console))


def _marked(text: str, found: Sequence[Found], console: Console) -> Text:
    result = Text()
    for piece in marked_pieces(text, found):
        if piece.hits:
            result.append_text(_mark(piece.text, console))
        else:
            result.append(visible(piece.text))
    return result


def _mark(text: str, console: Console) -> Text:
    words = visible(text)
    return Text(words if console.is_terminal else f"【{words}】", style=_MARK)


def _rules(decision: AnyDecision) -> Table:
    table = results_table("", "id", "label", ">relia-\nbility", ">weight", "holds because")
    for hit in decision.rules:
        rule = hit.rule
        worth = f"{hit.reliability:.2f}", f"{hit.weight:.2f}"
        table.add_row(rule.id, Text(rule.label), *worth, RuleText(_because(hit)))
    return table


def _because(hit: WeighedHit) -> str:
    """The conditions, and of those on meaning and on sight what was found."""
    found = [(each.condition, each.detail) for each in hit.evidence]
    return " and ".join(str(condition) if what is None else f"{condition}: {what}" for condition, what in found)


def _probabilities(decision: Decision) -> Table:
    table = results_table("", "label", ">model alone", ">with rules")
    order = np.argsort(-np.maximum(decision.merged, decision.model), kind="stable")[:_TOP]
    for index in order:
        chosen = decision.labels[index] == decision.likeliest
        cells = f"{decision.model[index]:.3f}", f"{decision.merged[index]:.3f}"
        table.add_row(Text(decision.labels[index]), *cells, style="bold" if chosen else "")
    return table


def _label_decisions(decision: MultiLabelDecision) -> Table:
    """The labels nearest to their thresholds, those that hold first."""
    table = results_table("", "label", ">model alone", ">with rules", ">holds from")
    order = sorted(decision.decisions, key=lambda each: (each.holds, each.probability - each.threshold), reverse=True)
    for each in order[: max(_TOP, len(decision.held))]:
        cells = f"{each.model_probability:.3f}", f"{each.probability:.3f}", f"{each.threshold:.2f}"
        table.add_row(Text(each.label), *cells, style="bold" if each.holds else "")
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
    table = results_table("", "nearest samples", "label", ">similarity", "words")
    for sample in samples:
        words = Text(one_line(sample.words)) if sample.words else Text("no words", style="dim")
        table.add_row(Text(sample.id), Text(labels[sample.label]), f"{sample.similarity:.2f}", words)
    return table
