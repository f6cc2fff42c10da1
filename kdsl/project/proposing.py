"""Rules that a chat model drafts: asked label by label, counted and refined on data, and put into the rule base."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import require_one_label
from kdsl.language import labels_in_chinese
from kdsl.locks import claimed, held
from kdsl.mining.edits import edit_words
from kdsl.mining.reward import wilson
from kdsl.mining.vocabulary import MINED_FIELDS, PARTS, mined_fields
from kdsl.models.out_of_fold_file import load_out_of_fold, rows_of
from kdsl.pretrained import model_name
from kdsl.progress import Advance, reported
from kdsl.project.asked import open_model
from kdsl.project.mining import require_writable
from kdsl.project.project import Project
from kdsl.project.refining import Refiner, refiner_of
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Provenance, Rule, When, rule_id
from kdsl.rules.rulebase import DRAFT, RuleBase
from kdsl.sample import Task
from kdsl.small.drafts import ANSWER_TOKENS, Confusion, Draft, read_drafts, request
from kdsl.small.examples import shown_sample
from kdsl.small.many import Failed, answers
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.conversation import Conversation
from kdsl.vlm.free_text import shortened

DRAFT_ANSWERS_FILE = "drafts.answers.jsonl"
"""In the checkpoint: what the model answered."""
SHOWN, SHOWN_OF_OTHERS = 4, 2
"""Samples of the label, and of each of those that it is confused with most, that the model is shown."""
_CONFUSED = 2
"""Labels that are told and shown on either side."""
_Z = 1.28
"""Standard deviations of the lower bound of a draft's precision, as in the search's reward."""

_log = logging.getLogger(__name__)


@dataclass
class ProposedTask:
    """What came of asking for one task."""

    asked: int = 0
    """Labels that the model was asked about now."""
    known: int = 0
    """Labels whose answers were known from before."""
    left: int = 0
    """Labels beyond the budget of calls; the same command goes on with them."""
    failed: dict[str, str] = field(default_factory=dict)
    """Label → why there is no answer; the next run asks again."""
    drafts: int = 0
    """Drafts in the answers that are rules at all."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Why → how many drafts were left out."""
    refined: int = 0
    """Of the rules added those that an edit made better on samples it was not chosen on."""
    added: list[Rule] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "asked": self.asked,
            "known_before": self.known,
            "left": self.left,
            "failed": self.failed,
            "drafts": self.drafts,
            "dropped": dict(sorted(self.dropped.items())),
            "refined": self.refined,
            "added": [{"id": rule.id, "rule": str(rule)} for rule in self.added],
        }


@dataclass(frozen=True)
class _Question:
    """What the model is asked about one label."""

    label: str
    conversation: Conversation
    shown: NDArray[np.bool_]
    """The samples that it is shown. [n_samples]"""


def propose_project(
    project: Project, model: str | None, calls: int | None, timeout: float, retries: int
) -> dict[str, ProposedTask]:
    """Let a chat model draft rules for all tasks; by task, what came of it.

    At most `calls` labels are asked about now; None is all. Answers are kept in the checkpoint, so nothing is asked
    twice. Raises KdslError where no model is named, or it cannot be reached, and for samples that nothing can be
    counted on.
    """
    require_one_label(project.tasks, "`kdsl propose`")
    with claimed(folders=[project.config.checkpoint, project.config.rules]):
        return _proposed(project, model, calls, timeout, retries)


def _proposed(
    project: Project, model: str | None, calls: int | None, timeout: float, retries: int
) -> dict[str, ProposedTask]:
    config = project.config
    name = model or config.small_model
    if name is None:
        raise KdslError(
            f"small: {config.small} writes no rules; name a model, such as --model http://localhost:8000/v1"
        )
    refiners = {task.name: refiner_of(project, task) for task in project.tasks}
    questions = {task.name: _questions(project, task, refiners[task.name].table) for task in project.tasks}
    path = config.checkpoint / DRAFT_ANSWERS_FILE
    cached, threads = open_model(project, name, path, timeout, retries, by_hand=bool(model))
    left, results = calls, {}
    try:
        with reported(project.progress, "Drafts", sum(map(len, questions.values()))) as advance:
            for task in project.tasks:
                require_writable(config.rules / task.name)
                result = results[task.name] = ProposedTask()
                found = _answers(cached, threads, questions[task.name], left, result, advance)
                left = None if left is None else left - result.asked
                _take(project.rule_base(task), refiners[task.name], found, model_name(name), result)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the answers so far are in {path}; run again to go on") from None
    return results


def _answers(
    model: CachedModel,
    threads: int,
    questions: Sequence[_Question],
    calls: int | None,
    result: ProposedTask,
    advance: Advance,
) -> list[tuple[_Question, str]]:
    """The questions with their answers, in their order, those that were answered before and as many as `calls` now."""
    new = [each for each in questions if not model.knows(each.conversation, ANSWER_TOKENS)]
    asked = new if calls is None else new[:calls]
    result.asked, result.known, result.left = len(asked), len(questions) - len(new), len(new) - len(asked)
    left = {each.label for each in new[len(asked) :]}
    chosen = [each for each in questions if each.label not in left]

    def ask(some: Sequence[Conversation]) -> list[str | Failed]:
        return [
            each.text
            or Failed(f"the answer is empty, beside {shortened(each.aside)}" if each.aside else "the answer is empty")
            for each in model.generate(some, ANSWER_TOKENS)
        ]

    found: dict[int, str] = {}
    for index, answer in answers([each.conversation for each in chosen], ask, threads):
        advance(f"Drafts for {chosen[index].label}")
        if isinstance(answer, Failed):
            result.failed[chosen[index].label] = answer.reason
        else:
            found[index] = answer
    return [(chosen[index], found[index]) for index in sorted(found)]


def _take(
    base: RuleBase, refiner: Refiner, found: Sequence[tuple[_Question, str]], name: str, result: ProposedTask
) -> None:
    """Count, refine and write what the answers hold."""
    task, table = refiner.problem.task, refiner.table
    labels = refiner.problem.labels
    fields = draft_fields(table)
    run = datetime.now().strftime("%Y-%m-%dT%H:%M")
    base.refresh()
    active = base.active()
    hits = Engine(active).matrix(table)
    seen = {(rule.label, hits[:, index].tobytes()) for index, rule in enumerate(active) if hits[:, index].any()}
    for question, answer in found:
        drafts, dropped = read_drafts(answer, task.label_names, fields)
        result.dropped.update(dropped)
        result.drafts += len(drafts)
        for draft in drafts:
            rule = _rule(task, draft, name, run)
            flags = Engine([rule]).matrix(table)[:, 0]
            truth = labels == task.label_names.index(draft.label)
            if base.clash(rule) is not None:
                reason: str | None = "in the rule base already"
            else:
                reason = _unwanted(flags & ~question.shown, truth, float(truth.mean()))
            if reason is None and (rule.label, flags.tobytes()) in seen:
                reason = "hits the same as another rule"
            if reason is not None:
                result.dropped[reason] += 1
                continue
            seen.add((rule.label, flags.tobytes()))
            better = _refined(refiner, rule)
            flags = Engine([better]).matrix(table)[:, 0]
            same = better is not rule and (better.label, flags.tobytes()) in seen
            with held(base.folder):  # `kdsl review` holds it while it writes
                base.refresh()
                if same or base.clash(better) is not None:
                    result.dropped["refined into another rule"] += 1
                    continue
                base.save(better)
            seen.add((better.label, flags.tobytes()))
            result.added.append(better)
            result.refined += better is not rule


def _unwanted(hits: NDArray[np.bool_], truth: NDArray[np.bool_], base_rate: float) -> str | None:
    """Why a draft with these hits, among samples that its author was not shown, is of no use; None where it is."""
    if not hits.any():
        return "hits nothing"
    correct, total = np.array([(hits & truth).sum()]), np.array([hits.sum()])
    return None if wilson(correct, total, _Z)[0] > base_rate else "no better than chance"


def _rule(task: Task, draft: Draft, name: str, run: str) -> Rule:
    return Rule(
        id=rule_id(task.name, draft.label, draft.conditions),
        label=draft.label,
        when=When(all=draft.conditions),
        provenance=Provenance(source=DRAFT, proposer=name, run=run),
        notes=draft.note,
    )


def _refined(refiner: Refiner, rule: Rule) -> Rule:
    """The best variant, with what was changed among its notes; the rule itself where none is better held out."""
    task = refiner.problem.task
    variants = refiner.refine(rule.conditions, rule.label).variants
    if not variants:
        return rule
    best = variants[0]
    lines = edit_words(best.edits, "zh" if labels_in_chinese(task) else "en")
    changed = {
        "id": rule_id(task.name, rule.label, best.conditions),
        "when": When(all=best.conditions),
        "notes": "\n".join(filter(None, [rule.notes, *lines])),
    }
    return rule.model_copy(update=changed)


def draft_fields(table: FieldTable) -> list[str]:
    """The text fields that drafts may be on: those that say something in these samples, none that is a part of
    another."""
    return [name for name in MINED_FIELDS if name not in PARTS and any(table.texts(name))]


def _questions(project: Project, task: Task, table: FieldTable) -> list[_Question]:
    """One for each label that has samples, those first whose samples the classifier takes for others most often."""
    fields = [name for name in draft_fields(table) if name in mined_fields(table)]  # a dialogue's turns, or `text`
    if not fields:
        raise KdslError(f"{task.name}: no training sample has text, so there is nothing that a draft could be about")
    names = task.label_names
    labels = np.array([names.index(row.sample.label or "") for row in table.rows], dtype=np.int64)
    confused = _confused(project, task, table, labels)
    order = sorted(range(len(names)), key=lambda label: (-int(confused[label].sum()), label))
    return [_question(task, label, table, labels, confused, fields) for label in order if (labels == label).any()]


def _question(
    task: Task, label: int, table: FieldTable, labels: NDArray[np.int64], confused: NDArray[np.int64],
    fields: Sequence[str],
) -> _Question:  # fmt: skip
    names = task.label_names
    pairs = [*((label, other) for other in range(len(names))), *((other, label) for other in range(len(names)))]
    worst = sorted((pair for pair in pairs if confused[pair]), key=lambda pair: -confused[pair])[: 2 * _CONFUSED]
    others = list(dict.fromkeys(other for pair in worst for other in pair if other != label))[:_CONFUSED]
    rows = [
        *_spread(labels == label, SHOWN),
        *(row for other in others for row in _spread(labels == other, SHOWN_OF_OTHERS)),
    ]
    shown = np.zeros(len(table), dtype=bool)
    shown[rows] = True
    told = [Confusion(names[true], names[said], int(confused[true, said])) for true, said in worst]
    samples = [(names[labels[row]], "".join(map(str, shown_sample(table.rows[row], None)))) for row in rows]
    return _Question(names[label], request(task, task.labels[label], fields, told, samples), shown)


def _spread(members: NDArray[np.bool_], n: int) -> list[int]:
    """At most `n` of the samples, evenly spread over their order."""
    rows = np.flatnonzero(members)
    return [int(rows[i]) for i in dict.fromkeys(np.linspace(0, len(rows) - 1, n).astype(int).tolist())]


def _confused(project: Project, task: Task, table: FieldTable, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often the classifier of `kdsl train` took samples of a label for another one, when it had not seen them:
    [n_labels, n_labels], true labels first; all 0 before there is one."""
    confused = np.zeros((len(task.labels), len(task.labels)), dtype=np.int64)
    out_of_fold = load_out_of_fold(project.config.checkpoint / task.name, task)
    if out_of_fold is None:
        return confused
    probabilities, known = rows_of(out_of_fold, (row.sample for row in table.rows), len(task.labels))
    np.add.at(confused, (labels[known], probabilities[known].argmax(axis=1)), 1)
    np.fill_diagonal(confused, 0)
    return confused
