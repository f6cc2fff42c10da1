"""Ablation of a project: which steps there are, how each is switched on and off, and the table of what they bring."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.config import EMBEDDED_ENCODER, NO_ENCODER, ProjectConfig
from kdsl.errors import KdslError
from kdsl.evaluate.ablation import RULES, Row, Steps, combinations, fed_with, rows
from kdsl.evaluate.fold_results import FoldResults, fold_results
from kdsl.evaluate.metrics import Outcome
from kdsl.fields.sidecar import Sidecars
from kdsl.files import file_hash
from kdsl.label_matrix import require_one_label
from kdsl.mining.update import MinedRules
from kdsl.progress import Advance, reported
from kdsl.project.cross_validation import held_out_tasks, labelled_folds
from kdsl.project.fitting import fit, fit_alone, mine_in_memory
from kdsl.project.inputs import contents, feedback, given_labels, image_stamps
from kdsl.project.large import large_model, tunes
from kdsl.project.project import Project
from kdsl.project.task import Labels, TaskProject
from kdsl.version import RESULTS_VERSION

MEANING, VISUAL, TEACHING = "meaning", "visual", "teaching"
ABLATION_STEPS = ("augment", "ocr", MEANING, VISUAL, "reasons", "retrieval", "distill", TEACHING, RULES)
_MINED_WITH = (MEANING, VISUAL)
"""Steps that change which conditions there are, so that rules are mined anew."""
ABLATION_FOLDS = 5
RESUME_FILE = "ablation.resume.jsonl"
COPIES, NEIGHBOURS, KNOWLEDGE = 4, 8, 3
"""What augmentation and retrieval are measured with where kdsl.yaml has them off."""


@dataclass(frozen=True)
class Ablation:
    """What was measured on a project."""

    tasks: tuple[str, ...]
    samples: int
    folds: int
    rows: list[Row]
    left_out: dict[str, str]
    """Steps that this project cannot be measured with → why."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "tasks": list(self.tasks),
            "samples": self.samples,
            "folds": self.folds,
            "rows": [row.record() for row in self.rows],
            "left_out": self.left_out,
        }

    def columns(self) -> list[str]:
        """The head of the table."""
        return ["steps", *self.tasks, "pooled", "95 % interval", "gain", "95 % interval"]

    def cells(self) -> list[list[str]]:
        """One row of the table for each combination of steps."""
        return [
            [
                " + ".join(row.steps) or "none",
                *(f"{100 * value:.1f}" for value in (*row.f1, row.pooled)),
                f"{100 * row.interval.low:.1f} to {100 * row.interval.high:.1f}",
                *((f"{100 * row.gain:+.1f}", _difference(row)) if row.steps else ("", "")),
            ]
            for row in self.rows
        ]


def parse_steps(text: str) -> list[str]:
    """The steps in `augment,ocr`; KdslError for one that there is not, and for one that is named twice."""
    steps = [step.strip() for step in text.split(",") if step.strip()]
    unknown = next((step for step in steps if step not in ABLATION_STEPS), None)
    if unknown is not None or not steps:
        what = repr(unknown) if unknown is not None else "nothing"
        raise KdslError(f"--ablate {text}: {what} is no step; choose from {','.join(ABLATION_STEPS)}")
    twice = next((step for step in steps if steps.count(step) > 1), None)
    if twice is not None:
        raise KdslError(f"--ablate {text}: {twice} stands there twice; name every step once")
    return steps


def ablate_project(
    project: Project, steps: Sequence[str], k: int = ABLATION_FOLDS, workers: int | None = None
) -> Ablation:
    """Cross-validate the project with each of `steps` alone, with all of them, and with none.

    Steps that are not named stay as kdsl.yaml has them. Steps that the project has not what they need for are left
    out. Raises KdslError where that leaves none, and as `cross_validate` does.
    """
    require_one_label(project.tasks, "an ablation")
    sidecars = project.learned_sidecars()
    left_out = {step: why for step in steps if (why := _missing(project, step, sidecars)) is not None}
    usable = [step for step in steps if step not in left_out]
    if not usable:
        raise KdslError("; ".join(f"{step}: {why}" for step, why in left_out.items()))
    wanted = combinations(usable)
    tasks = {
        fed: [
            replace(own, teaching=TEACHING in fed or TEACHING not in steps)
            for own in held_out_tasks(replace(project, config=with_steps(project.config, fed, steps)))
        ]
        for fed in map(fed_with, wanted)
    }
    results, plain = [], tasks[()]
    resumed = fold_results(project.config.checkpoint / RESUME_FILE, _fingerprint(project, wanted, k))
    with resumed as kept, reported(project.progress, "Ablation", k * len(wanted) * len(project.tasks)) as advance:
        try:
            for number in range(len(plain)):
                of_task = {fed: of_steps[number] for fed, of_steps in tasks.items()}
                results.append(ablate(of_task, wanted, k, workers or os.cpu_count() or 1, advance, kept))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("what was measured is kept; the same command goes on from there") from None
    sizes = [len(task.labels) for task in project.tasks]
    return Ablation(
        tuple(task.name for task in project.tasks),
        sum(len(own.table) for own in plain),
        k,
        rows(results, sizes, project.config.seed),
        left_out,
    )


def ablate(
    tasks: Mapping[Steps, TaskProject],
    wanted: Sequence[Steps],
    k: int,
    workers: int = 2,
    advance: Advance | None = None,
    results: FoldResults | None = None,
) -> dict[Steps, Outcome]:
    """What every combination in `wanted` predicts for every sample when all of it comes from the other k-1 folds.

    `tasks` has the same samples with some steps on and the others off; without "rules", which no classifier is trained
    with. Rules are mined once a fold, as the classifier has no part in that, unless `settings.focus` gives it one;
    with and without "meaning" and "visual" they are others.
    `advance` is called with what was done: `len(wanted)` times a fold. What is in `results` is not done again, and
    what is done is added to them. Errors are those of `kdsl.project.cross_validation.cross_validate`.
    """
    own = tasks[()]
    folds = labelled_folds(own, k)
    found = {combination: np.zeros((len(own.table), len(own.task.labels))) for combination in wanted}
    for fold in range(k):
        outside, inside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        known = {
            combination: said
            for combination in wanted
            if results is not None and (said := results.get(own.task.name, fold, combination)) is not None
        }
        missing = [combination for combination in wanted if combination not in known]
        for combination, said in chain(known.items(), _fold(tasks, missing, outside, inside, workers)):
            found[combination][inside] = said
            if results is not None and combination not in known:
                results.add(own.task.name, fold, combination, said)
            if advance is not None:
                advance(f"{own.task.name}: fold {fold + 1} of {k}")
    return {combination: Outcome(own.labels, said.argmax(axis=1), said) for combination, said in found.items()}


def _fold(
    tasks: Mapping[Steps, TaskProject], wanted: Sequence[Steps], outside: Labels, inside: Labels, workers: int
) -> Iterator[tuple[Steps, NDArray[np.float64]]]:
    """The probabilities [n_inside, n_labels] of every combination."""
    mined: dict[Steps, MinedRules] = {}
    for combination in wanted:
        own = tasks[fed_with(combination)]
        learned, asked = own.select(outside), own.table.select(inside)
        if RULES not in combination and TEACHING not in combination:
            yield combination, fit_alone(learned).predict(asked).probabilities
            continue
        seen = tuple(step for step in combination if step in _MINED_WITH)
        if seen not in mined or own.settings.focus:
            mined[seen] = mine_in_memory(learned, workers)
        fitted = fit(learned, mined[seen], workers)
        # What rules taught is in the classifier, whether they are heard besides or not.
        alone, _, both = fitted.predict(asked)
        yield combination, both if RULES in combination else alone


def _fingerprint(project: Project, wanted: Sequence[Steps], k: int) -> str:
    """Hash of what the results depend on, but for the weights of a model that is named."""
    data = project.config.data
    sidecars = (data.ocr, data.transcripts, data.captions, data.questions)
    named = (data.train, *sidecars, data.reasons, data.distilled, data.unlabelled)
    files = [path for path in named if path is not None and path.exists()]
    described = [
        RESULTS_VERSION,
        repr(project.tasks),
        project.config.model_dump_json(),
        file_hash(*files),
        None if data.knowledge is None else contents([data.knowledge], data.knowledge),
        image_stamps(project, ["train"]),
        given_labels(project),
        feedback(project),
        wanted,
        k,
    ]
    return hashlib.sha256(repr(described).encode("utf-8", "surrogatepass")).hexdigest()


def with_steps(config: ProjectConfig, on: Steps, of: Sequence[str]) -> ProjectConfig:
    """The project with the steps `on`, and those in `of` that are not among them off; teaching is no setting."""
    prompt, augment, training, data = config.prompt, config.augment, config.training, config.data
    encoder, small, fields = config.encoder, config.small, config.fields
    if "augment" in of:
        copies = (augment.copies or COPIES) if "augment" in on else 0
        augment = augment.model_copy(update={"copies": copies})
    if "ocr" in of:
        prompt = prompt.model_copy(update={"ocr": "ocr" in on})
    if "retrieval" in of:
        configured = (prompt.neighbours, prompt.knowledge)
        near, known = (configured if any(configured) else (NEIGHBOURS, KNOWLEDGE)) if "retrieval" in on else (0, 0)
        prompt = prompt.model_copy(update={"neighbours": near, "knowledge": known})
    if "reasons" in of:
        target = training.target if training.target != "label" else "reason_label"
        training = training.model_copy(update={"target": target if "reasons" in on else "label"})
    if "distill" in of and "distill" not in on:
        data = data.model_copy(update={"distilled": None})
    if MEANING in on and encoder == NO_ENCODER:
        encoder = EMBEDDED_ENCODER
    elif MEANING in of and MEANING not in on:
        encoder, small = NO_ENCODER, "lexical" if small == "meaning" else small
    if VISUAL in of:
        fields = fields.model_copy(update={"visual": VISUAL in on})
    changes = {
        "prompt": prompt,
        "augment": augment,
        "training": training,
        "data": data,
        "encoder": encoder,
        "small": small,
        "fields": fields,
    }
    changed = config.model_copy(update=changes)
    changed._folder = config.folder
    return changed


def _missing(project: Project, step: str, sidecars: Sidecars) -> str | None:
    """What the project lacks for a step; None where it lacks nothing."""
    config = project.config
    if config.recorded is not None and step != RULES:
        return "a recorded model cannot be fed anything"
    if step == "ocr" and not any(i in sidecars.ocr for sample in project.samples() for i in sample.images):
        return "no text on an image is known; name data.images and data.ocr, and run `kdsl ocr`"
    if step == MEANING and not _can_encode(project):
        return "there is no sentence encoder; install `kdsl[meaning]`, or name one in `encoder:`"
    if step == VISUAL and (config.data.images is None or not any(sample.images for sample in project.samples())):
        return "no image is known; name data.images, and samples with images"
    large = large_model(project) if step in ("augment", "reasons", "distill") else None
    tuned = large is not None and tunes(project, large)
    if step == "augment" and large is not None and not tuned:
        return f"`large: {config.large}` is used as it stands, and learns from no copies"
    if step == "augment" and not (config.augment.text or config.augment.images):
        return "text and images are both false; switch one of them on"
    if step == "reasons":
        if not tuned:
            return f"`large: {config.large}` writes no reasons; name a model that is fine-tuned"
        if config.data.reasons is None or not config.data.reasons.exists():
            return "there are no reasons; name their file in data.reasons, or make it with `kdsl reasons`"
    if step == TEACHING and config.large != "linear":
        return f"`large: {config.large}` learns nothing from what rules say"
    if step == TEACHING and config.data.unlabelled is None:
        return "data.unlabelled is not set; name the file of samples without labels"
    if step == TEACHING and not any(rule.approved for task in project.tasks for rule in project.rule_base(task).rules):
        return "no rule is accepted yet; accept some with `kdsl review`"
    if step == "distill" and not tuned and config.large != "linear":
        return f"`large: {config.large}` learns nothing from a teacher"
    if step == "distill" and (config.data.distilled is None or not config.data.distilled.exists()):
        return "there are no distilled samples; name their file in data.distilled, or make it with `kdsl distill`"
    return None


def _can_encode(project: Project) -> bool:
    """Whether the project's encoder, or the embedded one where it has none, gives vectors."""
    vectors = replace(project, config=with_steps(project.config, (MEANING,), (MEANING,))).vectors
    return vectors is not None and vectors.available


def write_ablation(folder: Path, ablation: Ablation) -> None:
    """ablation.json and ablation.md."""
    import json

    from kdsl.files import write_atomically

    columns = ablation.columns()
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in ablation.cells()]
    lines += [f"| {step} | n/a: {why} |" + " |" * (len(columns) - 2) for step, why in ablation.left_out.items()]
    write_atomically(folder / "ablation.md", "\n".join(lines) + "\n")
    write_atomically(folder / "ablation.json", json.dumps(ablation.record(), ensure_ascii=False, indent=1) + "\n")


def _difference(row: Row) -> str:
    return f"{100 * row.gain_interval.low:+.1f} to {100 * row.gain_interval.high:+.1f}"
