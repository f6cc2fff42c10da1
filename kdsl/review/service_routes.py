"""Routes of the page about the prediction service: what it decided of late, and what people said about that."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from kdsl.data.feedback import LastWord, answer_words
from kdsl.errors import KdslError
from kdsl.fields.table import SampleFields
from kdsl.review.charts import compared, histogram
from kdsl.review.decision_tally import BINS, Seen, Tally, opening
from kdsl.review.page import Asked, Call, KnownTask, translate
from kdsl.review.rule_feedback import RuleFeedback, place_of
from kdsl.review.service_decisions import PERIODS
from kdsl.review.store import StoredRule
from kdsl.rules.rulebase import ACTIVE
from kdsl.sample import NO_LABEL_HOLDS

BY = (("model", "model"), ("rules", "accepted"), ("other", "proposed"), ("abstained", "rejected"))
"""By whom something is decided, and the class of its colour."""
BY_WORDS = {
    "model": "by the model", "rules": "by rules", "other": "belongs to none", "abstained": "handed to a person",
}  # fmt: skip
RULES_SHOWN, SILENT_SHOWN, FEEDBACK_SHOWN = 30, 200, 50

router = APIRouter(prefix="/t/{task}")


@router.get("/service")
def service(call: Asked, task: KnownTask, last: str = "day") -> Response:
    if last not in PERIODS:
        raise KdslError(f"{last[:60]!r} is none of {', '.join(PERIODS)}")
    site = call.site
    lately = site.service.decisions.lately(task, last)
    tally = lately.tally
    words, about, problem = _feedback(call, task)
    held, silent = _rules(call, task, tally)
    language = call.visitor.language
    return call.render(
        "service.html", task=task, there=site.service.there, last=last, periods=tuple(PERIODS),
        since=lately.since.astimezone(), lately=lately, tally=tally, multi=site.tasks[task].multi, by=BY,
        by_words=BY_WORDS,
        confidence=histogram(translate("Decisions by confidence", language), _confidence(call, tally)),
        labels=compared(translate("Labels decided and in training", language), _labels(call, task, tally)),
        without_rule=compared(translate("Samples without a rule", language), _without_rule(call, tally)),
        least_sure=_with_pages(call, task, tally.least_sure),
        latest_without_rule=_with_pages(call, task, tally.latest_without_rule),
        held=held[:RULES_SHOWN], held_total=len(held), silent=silent[:SILENT_SHOWN], silent_total=len(silent),
        feedback=[_shown(call, task, word) for word in words[:FEEDBACK_SHOWN]],
        feedback_total=len(words), verdicts=_verdicts(words), people=Counter(word.event.by for word in words),
        label_name=partial(_label_name, call), against=_contradicted(call, task, about), feedback_problem=problem,
        answer_words=answer_words,
    )  # fmt: skip


def _confidence(call: Call, tally: Tally) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """Columns of the histogram: how many decisions by whom."""
    language = call.visitor.language
    return [
        (
            f"{step / BINS:.2f}–{(step + 1) / BINS:.2f}",
            [(kind, translate(BY_WORDS[by], language), tally.confidence[by, step]) for by, kind in BY],
        )
        for step in range(BINS)
    ]


def _labels(call: Call, task: str, tally: Tally) -> list[tuple[str, float, float | None, str]]:
    """The share of decisions for each label, most first, beside that of training samples with it."""
    index = call.site.indexes[task]
    names = index.task.label_names
    training = {name: float(index.having(i).mean()) for i, name in enumerate(names)} if index.samples else {}
    order = sorted({*names, *tally.labels}, key=lambda name: (-tally.labels[name], name))
    return [
        (_label_name(call, name), share, training.get(name), f"{tally.labels[name]:,} ({share:.1%})")
        for name in order
        for share in [tally.labels[name] / max(tally.decisions, 1)]
    ]


def _label_name(call: Call, label: str) -> str:
    return translate(label, call.visitor.language) if label == NO_LABEL_HOLDS else label


def _without_rule(call: Call, tally: Tally) -> list[tuple[str, float, float | None, str]]:
    """Of each label's decisions the share of those about samples that no rule held on, most decisions first."""
    return [
        (_label_name(call, name), share, None, f"{count:,} ({share:.1%})")
        for name, count in tally.labels_without_rule.most_common()
        for share in [count / tally.labels[name]]
    ]


def _rules(call: Call, task: str, tally: Tally) -> tuple[list[tuple[str, StoredRule | None, int]], list[StoredRule]]:
    """(id, rule, how often it held) of rules that held, most often first; and active ones that never did.

    None for a rule that is gone by now.
    """
    rules = {stored.rule.id: stored for stored in call.site.store.rules(task)}
    held = [(id, rules.get(id), count) for id, count in tally.rules.most_common()]
    silent = [stored for id, stored in rules.items() if stored.rule.status in ACTIVE and not tally.rules[id]]
    return held, silent


def _with_pages(call: Call, task: str, seen: Sequence[Seen]) -> list[tuple[Seen, bool]]:
    """Each with whether its sample is one of the project's, which has a page."""
    index = call.site.indexes[task]
    return [
        (each, any(hits.place(each.id, each.fingerprint) is not None for hits in (index.training, index.unlabelled)))
        for each in seen
    ]


def _feedback(call: Call, task: str) -> tuple[list[LastWord], dict[str, RuleFeedback], str]:
    """The last words, what they say about rules, and why the log cannot be read."""
    feedback = call.site.service.feedback
    try:
        return feedback.words(task), dict(feedback.about_rules(call.site, task)), ""
    except KdslError as error:
        return [], {}, error.in_commands()


def _shown(call: Call, task: str, word: LastWord) -> tuple[LastWord, str, bool, str]:
    """With the id of the sample, whether it has a page by that, and how it begins."""
    index = call.site.indexes[task]
    place = place_of(word, index)
    id = word.sample.id if place is None else index.samples[place].id
    heard = SampleFields(word.sample, call.site.sidecars).heard
    return word, id, place is not None, opening(turn.text for turn in heard.turns)


def _verdicts(words: Sequence[LastWord]) -> Counter[str]:
    """How many of the answers confirm what was predicted, correct it, or are about something that nobody decided."""
    return Counter(
        "unknown" if word.event.predicted is None else "confirmed" if word.event.predicted == word.event.label
        else "corrected" for word in words
    )  # fmt: skip


def _contradicted(call: Call, task: str, about: dict[str, RuleFeedback]) -> list[tuple[StoredRule, RuleFeedback]]:
    """Rules that feedback speaks against, the most contradicted first."""
    found = [(call.site.store.get(task, id), said) for id, said in about.items() if said.against]
    return sorted(found, key=lambda each: (-len(each[1].against), each[1].agreeing, each[0].rule.id))
