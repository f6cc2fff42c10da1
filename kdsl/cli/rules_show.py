"""What `kdsl rules show` prints: a rule and the samples that it hits."""

from collections.abc import Sequence

from rich.text import Text

from kdsl.cli.console import lines_console, visible
from kdsl.rules.evidence import Evidence, Hit
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import RuleStatistics
from kdsl.rules.table import NOT_AVAILABLE, counts
from kdsl.sample import Sample

_CONTEXT = 30
"""Characters shown on either side of a term."""


def print_rule(base: RuleBase, rule: Rule, hits: Sequence[tuple[Sample, Hit]], limit: int) -> None:
    """At most `limit` wrong and `limit` right hits are shown, the wrong ones first."""
    console = lines_console()
    console.print(Text(rule.id, style="bold"), Text(f"{rule.label} if all of these hold:"))
    for condition in rule.conditions:
        console.print(Text(f"  {condition}"))
    for name, value in _facts(base, rule):
        console.print(Text(f"{name:<12}", style="dim"), Text(value), sep="")
    wrong = [e for e in hits if e[0].given_labels is not None and rule.label not in e[0].given_labels]
    right = [entry for entry in hits if entry not in wrong]
    console.print(Text(f"\n{len(hits)} training samples hit, {len(wrong)} of them with another label."))
    for entries, mark, style in ((wrong, "✗", "red"), (right, "✓", "green")):
        for sample, hit in entries[:limit]:
            console.print(Text(f"{mark} {sample.id}", style=style), Text(sample.answer_words or "(no label)"))
            for evidence in hit.evidence:
                console.print("   ", _words(evidence, sample, style))
        if len(entries) > limit:
            console.print(Text(f"  … and {len(entries) - limit} more; --samples shows more", style="dim"))


def _facts(base: RuleBase, rule: Rule) -> list[tuple[str, str]]:
    entry = base.statistics().get((rule.id, rule.when_hash))
    provenance, review = rule.provenance, rule.review
    origin = [provenance.source, provenance.proposer, provenance.run]
    facts = [
        ("file", str(base.path(rule))),
        ("status", rule.status + (" (reviewed in another version: stale)" if rule.stale else "")),
        ("from", " ".join(part for part in origin if part) or NOT_AVAILABLE),
    ]
    if review.by or review.at:
        facts.append(("reviewed", f"{review.by} {review.at}".strip()))
    if rule.notes:
        facts.append(("notes", rule.notes))
    training, held_out, reliability = counts(entry)
    base_rate = NOT_AVAILABLE if entry is None else f"{entry.base_rate:.3f} (share of the label in training)"
    return [
        *facts,
        ("training", training),
        ("held out", held_out),
        ("reliability", reliability),
        ("base rate", base_rate),
        *_of_small_model(entry),
    ]


def _of_small_model(entry: RuleStatistics | None) -> list[tuple[str, str]]:
    facts = []
    if entry is not None and entry.sense is not None:
        facts.append(("makes sense", f"{entry.sense:.2f} (says the small model)"))
    if entry is not None and entry.synonyms:
        words = f"{', '.join(entry.synonyms)} (in no training sample, so not part of the rule)"
        facts.append(("also said", words))
    return facts


def _words(evidence: Evidence, sample: Sample, style: str) -> Text:
    """The evidence in words; a term with the text around it, the term highlighted."""
    if evidence.place is not None:
        segment, (start, end) = evidence.place
        where = segment.image or segment.audio
        if segment.turn is not None:
            where = f"turn {segment.turn}, {sample.turns[segment.turn].role}"
        before = visible(segment.text[max(0, start - _CONTEXT) : start].replace("\n", " "))
        after = visible(segment.text[end : end + _CONTEXT].replace("\n", " "))
        words = Text(f"{evidence.field} ({where}): {'…' if start > _CONTEXT else ''}{before}")
        words.append(visible(segment.text[start:end]), style=f"bold reverse {style}")
        words.append(after + ("…" if len(segment.text) > end + _CONTEXT else ""))
        return words if evidence.detail is None else words.append(visible(f" ({evidence.detail})"))
    if evidence.condition.meaning is not None:
        found = "nothing to compare" if evidence.nearest is None else str(evidence.nearest)
        return Text(visible(f"{evidence.condition}: {found}"))
    if evidence.region is not None:
        return Text(visible(f"{evidence.condition} ({evidence.image}, {evidence.region}): {evidence.seen}"))
    if evidence.condition.image_kind is not None or evidence.condition.colour is not None:
        return Text(visible(f"{evidence.condition}: no image that can be looked at"))
    if evidence.absent is not None:
        return Text(f"{evidence.field}: none of {', '.join(evidence.absent)}")
    number = evidence.value if evidence.question is None else evidence.probability
    found = NOT_AVAILABLE if number is None else f"{number:.3g}"
    test = evidence.comparison or evidence.question
    return Text(f"{evidence.field}: {found}, {'not ' if evidence.negated else ''}{test}")
