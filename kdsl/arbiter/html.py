"""One decision as HTML for a notebook: the text with evidence marked, the rules, the probabilities, the reason."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.marked import Found, Place, found_by_place, marked_pieces, seen_on, sounds_of
from kdsl.arbiter.multi_label_decision import AnyDecision, MultiLabelDecision
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.notebook import shown, table
from kdsl.rules.evidence import Evidence

_TOP_LABELS = 5
"""Labels whose probabilities are shown."""
_MOST_RULES = 10
"""Rules that are listed; the others are counted."""
_BAR = 6.0
"""Width of a probability of 1, in em."""


def decision_html(decision: AnyDecision) -> str:
    """What a notebook shows of a decision; everything in it that is not KDSL's own is escaped."""
    found = found_by_place(decision.rules)
    sample = decision.sample
    named = "label" if sample.labels is None else "labels"
    own = "" if sample.answer_words is None else f" · its own {named}: {escape(sample.answer_words)}"
    text = [*_dialogue(decision, found), *_images(decision, found), *_sounds(decision, None, found)]
    parts = table(("", "~"), text, _title(decision)), _rules(decision)
    if isinstance(decision, MultiLabelDecision):
        head = (
            f'<p class="headline"><b>{escape(decision.label_words)}</b> <span class="dim">· '
            f"{escape(sample.task)} · {escape(sample.id)}{own}</span></p>\n"
            f"<p>Decided by the {decision.by}: {escape(decision.reason)}.</p>\n"
        )
        return shown(head, *parts, _label_decisions(decision))
    head = (
        f'<p class="headline"><b>{escape(decision.label or "no label")}</b> {decision.merged.max():.2f} '
        f'<span class="dim">· {escape(sample.task)} · {escape(sample.id)}{own}</span></p>\n'
        f"<p>Decided {decision.by_whom}: {escape(decision.reason)}.</p>\n"
    )
    said = "" if decision.model_reason is None else f"<p>The model's reason: {escape(decision.model_reason)}</p>\n"
    return shown(head, said, *parts, _probabilities(decision))


def _decided(decision: AnyDecision) -> tuple[str, ...]:
    """The labels that it is decided for."""
    return decision.label if isinstance(decision, MultiLabelDecision) else (decision.likeliest,)


def _title(decision: AnyDecision) -> str:
    if not any(hit.evidence for hit in decision.rules):
        return ""
    against = any(hit.rule.label not in _decided(decision) for hit in decision.rules)
    return "What rules found is marked" + (", dotted where they speak for another label" if against else "")


def _dialogue(decision: AnyDecision, found: Mapping[Place, Sequence[Found]]) -> Iterator[tuple[str, str]]:
    """A row a turn: who speaks, and the text; below it its sounds."""
    for index, turn in enumerate(decision.sample.turns):
        if turn.text:
            role = f'<span class="dim">{turn.role}</span>'
            yield role, _marked(turn.text, found.get((index, None, None, None), ()), _decided(decision))
        yield from _sounds(decision, index, found)


def _sounds(
    decision: AnyDecision, turn: int | None, found: Mapping[Place, Sequence[Found]]
) -> Iterator[tuple[str, str]]:
    """A row a sound of a turn, or of none: its name, and what is said in it if rules speak about that."""
    for audio in sounds_of(decision.sample, turn):
        here = found.get((turn, None, None, audio), ())
        said = [_marked(here[0].segment.text, here, _decided(decision))] if here else []
        yield '<span class="dim">sound</span>', "<br>".join([escape(audio), *said])


def _images(decision: AnyDecision, found: Mapping[Place, Sequence[Found]]) -> Iterator[tuple[str, str]]:
    """A row an image: its name, and of what is known about it the regions and lines that rules speak about."""
    for image in decision.sample.images:
        lines = [
            _marked(here[0].segment.text, here, _decided(decision))
            for (_, name, *_), here in sorted(found.items(), key=lambda each: each[0][2] or 0)
            if name == image
        ]
        seen = [
            f"{escape(str(region))}: {_mark(words, hits, _decided(decision))}"
            for (region, words), hits in seen_on(image, decision.rules).items()
        ]
        yield '<span class="dim">image</span>', "<br>".join([escape(image), *seen, *lines])


def _marked(text: str, found: Sequence[Found], labels: Sequence[str]) -> str:
    parts = []
    for piece in marked_pieces(text, found):
        if piece.hits:
            parts.append(_mark(piece.text, piece.hits, labels))
        else:
            parts.append(escape(piece.text))
    return "".join(parts)


def _mark(text: str, hits: Sequence[WeighedHit], labels: Sequence[str]) -> str:
    against = all(hit.rule.label not in labels for hit in hits)
    rules = ", ".join(f"{hit.rule.id}: {hit.rule.label}" for hit in hits)
    kind = ' class="against"' if against else ""
    return f'<mark{kind} title="{escape(rules)}">{escape(text)}</mark>'


def _rules(decision: AnyDecision) -> str:
    if not decision.rules:
        return '<p class="dim">No rule holds.</p>\n'
    rows = [
        (
            f"<mark{'' if hit.rule.label in _decided(decision) else ' class=against'}>{escape(hit.rule.label)}</mark>",
            _because(hit),
            f"{hit.reliability:.2f}",
            f"{hit.weight:.2f}",
            f"<code>{hit.rule.id}</code>",
        )
        for hit in decision.rules[:_MOST_RULES]
    ]
    more = len(decision.rules) - len(rows)
    rest = f'<p class="dim">and {more} more rules that weigh less</p>\n' if more > 0 else ""
    return table(("speaks for", "~because", ">reliability", ">weight", "rule"), rows) + rest


def _because(hit: WeighedHit) -> str:
    return escape(" and ".join(map(_told, hit.evidence)))


def _told(evidence: Evidence) -> str:
    """A condition in words, with the term, number or probability that makes it hold."""
    if (more := evidence.detail) is not None:
        return f"{evidence.as_found}: {more}"
    found = evidence.value if evidence.comparison is not None else evidence.probability
    return str(evidence.as_found) if found is None else f"{evidence.condition} ({found:.3g})"


def _label_decisions(decision: MultiLabelDecision) -> str:
    """The labels nearest to their thresholds, those that hold first."""
    order = sorted(decision.decisions, key=lambda each: (each.holds, each.probability - each.threshold), reverse=True)
    rows = [
        (
            f"<b>{escape(each.label)}</b>" if each.holds else escape(each.label),
            f"{each.model_probability:.3f}",
            f"{each.probability:.3f}",
            f"{each.threshold:.2f}",
            f'<i class="bar" style="width: {_BAR * each.probability:.2f}em"></i>',
        )
        for each in order[: max(_TOP_LABELS, len(decision.held))]
    ]
    return table(("label", ">model alone", ">with rules", ">holds from", ""), rows)


def _probabilities(decision: Decision) -> str:
    order = np.argsort(-np.maximum(decision.merged, decision.model), kind="stable")[:_TOP_LABELS]
    rows = [
        (
            f"<b>{name}</b>" if decision.labels[index] == decision.likeliest else name,
            f"{decision.model[index]:.3f}",
            f"{decision.merged[index]:.3f}",
            f'<i class="bar" style="width: {_BAR * decision.merged[index]:.2f}em"></i>',
        )
        for index in order
        for name in [escape(decision.labels[index])]
    ]
    return table(("label", ">model alone", ">with rules", ""), rows)
