"""What is wrong with a data set, as findings that a person can act on."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kdsl.data.answers import check_answers
from kdsl.data.audio_checks import NO_SOUNDS, Sounds, check_audio
from kdsl.data.dialogue import without_placeholders
from kdsl.data.finding import Finding, finding
from kdsl.data.giveaways import Giveaway, label_in_names, label_in_order
from kdsl.data.image_checks import check_images, check_near_duplicates
from kdsl.data.meanings import Encode, check_meanings
from kdsl.data.media import AUDIO, IMAGES, MEDIA
from kdsl.data.notes import Notes
from kdsl.data.repeats import check_repeats, file_contents
from kdsl.progress import Progress
from kdsl.sample import Sample, Task

FEW_SAMPLES = 5
"""A label with fewer training samples cannot be learnt and judged at once."""
NONE_HOLDS = "(none holds)"
"""Stands for the samples on which no label of a task with several a sample holds."""
NO_LABELS = (
    "no labelled samples: predicts from the names and descriptions of the labels alone; label at least "
    f"{FEW_SAMPLES} samples of each and train again"
)
"""What a task without a single label comes to, where the classifier is one of KDSL's own."""


@dataclass(frozen=True)
class Report:
    """`counts` is task → label → split → samples, task labels first, then unknown ones; None stands for no label.

    Where samples may have several labels they count for each, and for `NONE_HOLDS` where none of them holds.
    """

    counts: dict[str, dict[str | None, dict[str, int]]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    """task → split → samples"""
    unused: dict[str, Counter[str]] = field(default_factory=dict)
    """split → keys of its records that mean nothing → in how many they are."""
    feedback: dict[str, int] = field(default_factory=dict)
    """Who gave feedback to the service → about how many training samples."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        counts = {
            task: [{"label": label, **found} for label, found in labels.items()]
            for task, labels in self.counts.items()
        }
        unused = {split: dict(keys) for split, keys in self.unused.items()}
        findings = [asdict(finding) for finding in self.findings]
        return {"counts": counts, "unused_keys": unused, "feedback": self.feedback, "findings": findings}


def check_samples(
    splits: Mapping[str, Sequence[Sample]],
    tasks: Sequence[Task],
    images: Path | None,
    notes: Mapping[str, Notes] | None = None,
    progress: Progress | None = None,
    left_out: Collection[str] = (),
    encode: Encode | None = None,
    sounds: Sounds = NO_SOUNDS,
) -> Report:
    """Everything that can be wrong with the samples of each split ("train", "test").

    `images` is the folder that image names are relative to; `notes` is what reading each split left; `left_out` are
    fields that nothing will look at, and `encode` gives sentence vectors. Reads every image and sound once; never
    raises for what is in it.
    """
    totals = {
        task.name: {split: sum(each.task == task.name for each in samples) for split, samples in splits.items()}
        for task in tasks
    }
    report = Report(count_labels(splits, tasks), totals=totals)
    for split, noted in (notes or {}).items():
        report.findings.extend(_unread_keys(split, noted))
        report.findings.extend(_lost(split, noted))
        if noted.unused:
            report.unused[split] = noted.unused
    for split, samples in splits.items():
        report.findings.extend(_duplicate_ids(split, samples))
        for task in tasks:
            of_task = [sample for sample in samples if sample.task == task.name]
            report.findings.extend(_labels(split, task, of_task))
            report.findings.extend(_dialogues(split, task, of_task))
            report.findings.extend(_giveaways(split, task, of_task))
    report.findings.extend(_unlabelled(splits.get("train", ()), tasks))
    image_findings, hashes = check_images(splits, images, progress)
    report.findings.extend(image_findings)
    report.findings.extend(check_audio(splits, sounds, progress))
    heard = file_contents((sound for samples in splits.values() for s in samples for sound in s.audio), sounds.folder)
    report.findings.extend(check_near_duplicates(splits, tasks, hashes, heard))
    report.findings.extend(check_repeats(splits, tasks, images, sounds.folder))
    if encode is not None:
        report.findings.extend(check_meanings(splits, tasks, encode))
    if "last_agent" not in left_out:
        report.findings.extend(check_answers(splits, tasks))
    return report


def count_labels(
    splits: Mapping[str, Sequence[Sample]], tasks: Sequence[Task]
) -> dict[str, dict[str | None, dict[str, int]]]:
    """task → label → split → number of samples."""
    counts: dict[str, dict[str | None, dict[str, int]]] = {}
    for task in tasks:
        found = {
            split: Counter(label for sample in samples if sample.task == task.name for label in _counted(sample))
            for split, samples in splits.items()
        }
        labels: dict[str | None, None] = dict.fromkeys(task.label_names)
        for counter in found.values():
            labels.update(dict.fromkeys(sorted(counter, key=lambda label: (label is None, label or ""))))
        counts[task.name] = {label: {split: counter[label] for split, counter in found.items()} for label in labels}
    return counts


def _unread_keys(split: str, notes: Notes) -> Iterator[Finding]:
    if notes.unread:
        count = sum(noted.count for noted in notes.unread.values())
        examples = [
            f"{key}: {noted.count}, the first in {noted.first}; {remedy}"
            for (key, remedy), noted in notes.unread.items()
        ]
        message = "keys are not read, so that texts, labels or images may be lost; rename or remove them"
        yield Finding("unread-keys", split, "", count, message, tuple(examples))


def _lost(split: str, notes: Notes) -> Iterator[Finding]:
    for medium in MEDIA:
        lost = {what: noted for what, noted in notes.left_out.items() if noted.lost == medium}
        if lost:
            examples = [f"{noted.count} {what}, the first in {noted.first}" for what, noted in lost.items()]
            message = f"{medium.many} were left out, and samples are taken without them"
            count = sum(noted.count for noted in lost.values())
            yield Finding(f"left-out-{medium.keys[0]}", split, "", count, message, tuple(examples))


def _duplicate_ids(split: str, samples: Sequence[Sample]) -> Iterator[Finding]:
    counter = Counter(sample.key for sample in samples)
    repeated = [identity for (_, identity), count in counter.items() if count > 1]
    yield from finding("duplicate-ids", split, "", repeated, "ids stand for more than one sample; make them different")


def _labels(split: str, task: Task, samples: Sequence[Sample]) -> Iterator[Finding]:
    known = set(task.label_names)
    unlisted = [(sample.id, label) for sample in samples for label in sample.given_labels or () if label not in known]
    unknown = [f"{id}: {label if label == label.strip() else repr(label)}" for id, label in unlisted]
    yield from finding(
        "unknown-labels", split, task.name, unknown, "samples have a label that the task does not list; correct either"
    )
    if split != "train" or not any(sample.given_labels for sample in samples):
        return
    unlabelled = _ids(samples, lambda sample: sample.given_labels is None)
    yield from finding("no-label", split, task.name, unlabelled, "samples have no label")
    counter = Counter(label for sample in samples for label in sample.given_labels or () if label in known)
    few = [
        f"{name}: {counter[name]}" for name in task.label_names if counter[name] < FEW_SAMPLES and name != task.other
    ]
    yield from finding(
        "few-samples", split, task.name, few, f"labels have fewer than {FEW_SAMPLES} samples; collect more of them"
    )
    if len(counter) < 2 and not (task.multi and 0 < counter.total() < len(samples) - len(unlabelled)):
        found = ", ".join(str(label) for label in counter) or "no label"
        message = f"the samples have {found} only; nothing can be learnt without a second label"
        yield Finding("one-label", split, task.name, len(samples), message)


def _unlabelled(train: Sequence[Sample], tasks: Sequence[Task]) -> Iterator[Finding]:
    for task in tasks:
        of_task = [sample for sample in train if sample.task == task.name]
        if not any(sample.given_labels for sample in of_task):
            message = "no sample has a label; label some to learn from" if task.multi else NO_LABELS
            yield Finding("no-labels", "train", task.name, len(of_task), message)


def _dialogues(split: str, task: Task, samples: Sequence[Sample]) -> Iterator[Finding]:
    needs_text = "{dialogue}" in task.prompt

    def empty(sample: Sample) -> bool:
        said = _has_text(sample) or bool(sample.audio)
        return not said and (needs_text or bool(sample.turns) or not sample.images)

    def userless(sample: Sample) -> bool:
        said = [turn for turn in sample.turns if turn.text.strip() or turn.audio]
        return _has_text(sample) and not any(turn.role == "user" for turn in said)

    yield from finding("empty-dialogues", split, task.name, _ids(samples, empty), "samples hold nothing to classify")
    yield from finding("no-user-turn", split, task.name, _ids(samples, userless), "dialogues have no turn of a user")
    for medium, kind in ((IMAGES, "placeholders"), (AUDIO, "audio-placeholders")):
        marked = [s.id for s in samples if any(medium.placeholder in turn.text for turn in s.turns)]
        message = f"texts hold an {medium.placeholder} for which no file is listed"
        yield from finding(kind, split, task.name, marked, message)


def _giveaways(split: str, task: Task, samples: Sequence[Sample]) -> Iterator[Finding]:
    labelled = [sample for sample in samples if sample.given_labels]
    given: tuple[tuple[str, list[Sample], Callable[[Sample], str]], ...] = (
        ("ids", labelled, lambda sample: sample.id),
        ("image file names", [sample for sample in labelled if sample.images], lambda sample: sample.images[0]),
        ("sound file names", [sample for sample in labelled if sample.audio], lambda sample: sample.audio[0]),
    )
    for what, chosen, name in given:
        names = [name(sample) for sample in chosen]
        labels = [str(sample.answer_words) for sample in chosen]
        found: Giveaway | None = label_in_names(names, labels) or label_in_order(names, labels)
        if found is not None:
            message = f"{what} give the label away: {found.detail}; never let a model or a rule see them"
            yield Finding("giveaway", split, task.name, found.count, message, found.examples)


def _counted(sample: Sample) -> tuple[str | None, ...]:
    """The labels that a sample counts for: each of several, and `NONE_HOLDS` where it is known that none does."""
    return (None,) if sample.given_labels is None else sample.given_labels or (NONE_HOLDS,)


def _has_text(sample: Sample) -> bool:
    return any(without_placeholders(turn.text).strip() for turn in sample.turns)


def _ids(samples: Iterable[Sample], condition: Callable[[Sample], bool]) -> list[str]:
    return [sample.id for sample in samples if condition(sample)]
