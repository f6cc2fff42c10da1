"""Mining a task from its samples: searches run in parallel, can be resumed, and give the same rules in any order."""

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter

from kdsl.errors import Hint, KdslError
from kdsl.fields import TEXT_FIELDS
from kdsl.fields.table import FieldTable
from kdsl.files import opened
from kdsl.json_file import append_jsonl, read_jsonl, write_jsonl
from kdsl.label_matrix import is_labelled, label_counts, membership, several
from kdsl.mining.inside import Inside
from kdsl.mining.meanings import label_sentences
from kdsl.mining.miner import Mined, MiningSettings, assemble, mine_label
from kdsl.mining.named import with_named
from kdsl.mining.opinion import Opinion
from kdsl.mining.problem import FoundRule, MiningProblem, jobs, mining_problem
from kdsl.mining.proposer import LexicalProposer, NodeAdviser, Proposer, Validator
from kdsl.mining.sense import Sense, fit_sense
from kdsl.mining.vocabulary import build_vocabulary
from kdsl.processes import ignore_interrupts, worker_pool
from kdsl.record_file import as_record
from kdsl.sample import Sample, Task
from kdsl.version import RESULTS_VERSION
from kdsl.vlm.usage import CallBudget

Job = tuple[int, int]
"""(fold, label), as `kdsl.mining.problem.jobs` gives them."""
Progress = Callable[[int, int], None]
Searches = Callable[
    [MiningProblem, MiningSettings, Inside | None, Sequence[Job]], Generator[tuple[Job, list[FoundRule]], None, None]
]
"""Runs searches somewhere, each by `kdsl.mining.miner.mine_label`, and gives each with its rules as it is done, in any
order; closed before its end it stops them. Raises KdslError where they cannot go on."""

INSIDE = 0.5
"""Of the calls that are left when the searches begin."""

_RULES = TypeAdapter(list[FoundRule])


class _Search(BaseModel):
    """A line of the file of searches that were done."""

    fold: int
    label: int
    rules: list[FoundRule]


def mine_task(
    task: Task,
    table: FieldTable,
    labels: NDArray[np.int64],
    settings: MiningSettings,
    seed: int,
    weights: NDArray[np.float64] | None = None,
    folds: NDArray[np.int64] | None = None,
    proposer: Proposer | None = None,
    validator: Validator | None = None,
    adviser: NodeAdviser | None = None,
    budget: CallBudget | None = None,
    opinion: Opinion | None = None,
    resume_file: Path | None = None,
    progress: Progress | None = None,
    workers: int = 2,
    searches: Searches | None = None,
) -> Mined:
    """Mine the rules of every label of `task`, and the whole again without each fold, for the reliability.

    `labels` [n_samples] index `task.labels`; `weights` [n_samples] in (0, 1] are larger where the classifier errs;
    `folds` [n_samples] count from 0 and are made from `seed` where they are None. `proposer` is the lexical one where
    it is None; the `validator` judges what the rules say; with an `adviser` both are asked inside the searches
    too, and where that costs calls, `budget` is what is left of them. An `opinion`, made with the same `folds`, tells
    what to expect of rules on unlabelled samples. `progress(fold, label)` is called after every
    search. `workers` processes search, 0 or 1: this one; or else `searches` says where.

    Searches done are kept in `resume_file`: the same call goes on from there, another one starts afresh. The file is
    to be deleted once what was mined is written. Raises KdslError for samples without a label, or of fewer than two
    labels.
    """
    problem = prepare(task, table, labels, settings, seed, weights, folds, proposer)
    inside = inside_of(problem, settings, adviser, validator, budget)
    found = _search_all(problem, settings, inside, resume_file, progress, searches or in_processes(workers))
    problem, found = with_named(problem, found, table)
    return assemble(problem, found, settings, validator, opinion)


def inside_of(
    problem: MiningProblem,
    settings: MiningSettings,
    adviser: NodeAdviser | None,
    validator: Validator | None,
    budget: CallBudget | None,
) -> Inside | None:
    """What the small model does inside the searches of a task; None without an adviser: judgements then wait for the
    rules that the searches find.

    `INSIDE` of the budget is spread over the searches alike, whether a search is done or was done before an
    interruption; the rest is for judging the rules that they find.
    """
    if adviser is None:
        return None
    sense = Sense() if validator is None else fit_sense(problem, validator, settings.reward_z)
    each = 0 if budget is None else budget.set_aside(len(jobs(problem)), INSIDE)
    judgements = each // 3
    return Inside(
        problem.task,
        problem.vocabulary.n_samples,
        adviser,
        validator,
        sense.weights,
        sense.judged,
        each - judgements,
        judgements,
    )


def prepare(
    task: Task,
    table: FieldTable,
    labels: NDArray[np.int64],
    settings: MiningSettings,
    seed: int,
    weights: NDArray[np.float64] | None = None,
    folds: NDArray[np.int64] | None = None,
    proposer: Proposer | None = None,
) -> MiningProblem:
    """What `mine_task` searches; arguments and errors are the same."""
    require_labels(task, [row.sample for row in table.rows], labels)
    proposer = proposer or LexicalProposer()
    vocabulary = build_vocabulary(table, known_terms=proposer.terms(task), said_of_labels=label_sentences(task))
    parts = settings.folds if folds is None else folds
    return mining_problem(task, vocabulary, labels, weights, proposer, parts, seed)


def require_labels(task: Task, samples: Sequence[Sample], labels: NDArray[np.int64]) -> None:
    """Raise KdslError unless all samples have labels of the task, at least two different ones.

    Where a sample may have several, one label is enough that holds on some samples and not on others.
    """
    unlabelled = np.flatnonzero(~is_labelled(labels))
    if len(unlabelled):
        sample = samples[unlabelled[0]]
        more = f" (and {len(unlabelled) - 1} more)" if len(unlabelled) > 1 else ""
        raise KdslError(
            f"{task.name}: sample {sample.id!r}{more} has the label {sample.answer!r}, which is none of the task's; "
            "mining needs labelled samples",
            Hint.CHECK,
        )
    if several(labels):
        counts = label_counts(labels, len(task.labels))
        if not ((counts > 0) & (counts < len(labels))).any():
            raise KdslError(
                f"{task.name}: every label holds on all {len(labels)} samples or on none; mining needs one that holds "
                "on some of them only"
            )
    elif len(np.unique(labels)) < 2:
        found = repr(task.label_names[labels[0]]) if len(labels) else "none"
        raise KdslError(
            f"{task.name}: mining needs samples of at least two labels, found {found}; "
            "add samples, or take the task out of `tasks`"
        )


def sample_weights(probabilities: NDArray[np.float64], labels: NDArray[np.int64], focus: float) -> NDArray[np.float64]:
    """What mining counts every sample with, [n_samples]: less where the classifier is right without any rule.

    `probabilities` [n_samples, n_labels] must come from classifiers that were not trained on the sample.
    """
    if several(labels):  # of the labels the one that the classifier is most wrong about
        right = np.where(membership(labels, probabilities.shape[1]), probabilities, 1 - probabilities)
        return 1.0 - focus * right.min(axis=1)
    return 1.0 - focus * probabilities[np.arange(len(labels)), labels]


def _search_all(
    problem: MiningProblem,
    settings: MiningSettings,
    inside: Inside | None,
    resume_file: Path | None,
    progress: Progress | None,
    searches: Searches,
) -> dict[Job, list[FoundRule]]:
    with ExitStack() as stack:
        found: dict[Job, list[FoundRule]] = {}
        append: Callable[[dict[str, Any]], None] | None = None
        if resume_file is not None:
            header = {"fingerprint": fingerprint(problem, settings, inside)}
            found = _finished(resume_file, header, problem)
            # Written anew, so that neither a torn line nor another run's searches stand before what is appended.
            write_jsonl(resume_file, [header, *(_record(job, rules) for job, rules in found.items())])
            append = stack.enter_context(append_jsonl(resume_file))
        if progress is not None:
            for job in found:
                progress(*job)
        missing = [job for job in jobs(problem) if job not in found]
        for job, rules in stack.enter_context(closing(searches(problem, settings, inside, missing))):
            found[job] = rules
            if append is not None:
                append(_record(job, rules))
            if progress is not None:
                progress(*job)
    return found


def fingerprint(problem: MiningProblem, settings: MiningSettings, inside: Inside | None = None) -> str:
    """Hash of everything that the rules depend on: samples, labels, settings, seed, small model and version."""
    described = [
        RESULTS_VERSION,
        repr(settings),
        problem.seed,
        repr(problem.task),
        [condition.canonical() for condition in problem.vocabulary.conditions],
        None if inside is None else inside.described(),
    ]
    digest = hashlib.sha256(json.dumps(described).encode())
    weights = np.round(problem.weights, 6)  # a classifier's last digits may differ from run to run
    for array in (problem.vocabulary.coverage, problem.labels, weights, problem.prior, problem.folds):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _record(job: Job, rules: list[FoundRule]) -> dict[str, Any]:
    return {"fold": job[0], "label": job[1], "rules": _RULES.dump_python(rules, mode="json")}


def _finished(path: Path, header: dict[str, Any], problem: MiningProblem) -> dict[Job, list[FoundRule]]:
    """The searches in `path` that were done for the same problem, up to the first line that is not whole.

    KdslError where the file is there and cannot be read.
    """
    found: dict[Job, list[FoundRule]] = {}
    if not path.exists():
        return found
    possible = set(jobs(problem))
    with opened(path), suppress(KdslError):  # the line that an interruption tore: from there on it is searched again
        for number, record in read_jsonl(path):
            if number == 1:
                if record != header:
                    return found
                continue
            search = as_record(_Search, record, f"{path}, line {number}", "")
            if (search.fold, search.label) not in possible or not all(_fits(rule, problem) for rule in search.rules):
                return found
            found[search.fold, search.label] = search.rules
    return found


def _fits(rule: FoundRule, problem: MiningProblem) -> bool:
    """Whether it is a rule over the problem's vocabulary."""
    known = range(len(problem.vocabulary) + len(rule.named))
    return (
        0 <= rule.label < len(problem.task.labels)
        and 0 < len(rule.conditions) == len(rule.negated)
        and all(indices and all(index in known for index in indices) for indices in rule.conditions)
        and all(condition.terms and condition.field in TEXT_FIELDS for condition in rule.named)
    )


def in_processes(workers: int) -> Searches:
    """Searches in so many processes of this machine."""
    return lambda problem, settings, inside, missing: _searched(problem, settings, inside, missing, workers)


def _searched(
    problem: MiningProblem, settings: MiningSettings, inside: Inside | None, missing: Sequence[Job], workers: int
) -> Generator[tuple[Job, list[FoundRule]], None, None]:
    """The searches `missing` with the rules they find, as they are done; here, where the small model is in memory."""
    workers = min(workers, len(missing))
    if workers < 2 or (inside is not None and inside.local):
        for fold, label in missing:
            yield (fold, label), mine_label(problem, fold, label, settings, inside)
        return
    try:
        with worker_pool(workers, _start_worker, (problem, settings, inside)) as pool:
            futures = {pool.submit(_mine_in_worker, job): job for job in missing}
            for future in as_completed(futures):
                yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise KdslError(
            f"{problem.task.name}: a mining process died, perhaps for lack of memory; run again to go on from there"
        ) from error


_problem: MiningProblem
_settings: MiningSettings
_inside: Inside | None
"""What a worker process searches: sent once, when it starts."""


def _start_worker(problem: MiningProblem, settings: MiningSettings, inside: Inside | None) -> None:
    global _problem, _settings, _inside
    _problem, _settings, _inside = problem, settings, inside
    ignore_interrupts()


def _mine_in_worker(job: Job) -> list[FoundRule]:
    return mine_label(_problem, *job, _settings, _inside)
