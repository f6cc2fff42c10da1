"""Feedback as training samples: which samples it adds to those of a project, and what it says of these."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kdsl.data.feedback import LastWord, answer_words, with_answer
from kdsl.data.finding import Finding, finding
from kdsl.data.label_log import GivenLabels
from kdsl.data.notes import Notes
from kdsl.data.repeats import contents_of
from kdsl.sample import Sample, SampleKey, Task

Known = tuple[SampleKey, str]
"""Key and fingerprint of a sample."""
TWICE = "samples with feedback say what another training sample of their label says, and are left out"


@dataclass(frozen=True)
class FeedbackSamples:
    """What of the feedback is trained on."""

    words: Mapping[Known, LastWord] = field(default_factory=dict)
    """By the sample as the project has it."""
    added: Sequence[Sample] = ()
    """The samples that feedback alone knows."""

    def of(self, sample: Sample) -> LastWord | None:
        """What was said about a sample, whatever its label is since; None where nothing was."""
        return self.words.get(_known(sample)) if self.words else None

    def people(self) -> dict[str, int]:
        """Who gave it, and about how many samples, most first."""
        return dict(Counter(word.event.by for word in self.words.values()).most_common())


def add_feedback(
    train: Sequence[Sample],
    words: Sequence[LastWord],
    test: Sequence[Sample],
    tasks: Sequence[Task],
    images: Path | None,
    notes: Notes,
    audio: Path | None = None,
) -> tuple[list[Sample], FeedbackSamples]:
    """The samples of the training file as feedback labels them, and behind them those that it alone knows.

    A sample of the same id that says something else is added under an id of its own. What says and shows the same as
    one of the `test` samples is left out: the same is what `kdsl.data.repeats` takes for it, and `images` and
    `audio` are the folders of the images and sounds. What is left out, renamed, or labelled otherwise than in the file
    is noted.
    """
    by_name = {task.name: task for task in tasks}
    usable: dict[Known, LastWord] = {}
    for word in words:
        if problem := _problem(word, by_name.get(word.sample.task)):
            notes.note(problem, repr(word.sample.id))
        else:
            usable[_known(word.sample)] = word
    keys, taken = {key for key, _ in usable}, {sample.key for sample in train}
    used: dict[Known, LastWord] = {}
    found = []
    for sample in train:
        said = usable.get(_known(sample)) if sample.key in keys else None
        if said is not None:
            used[_known(sample)] = said
            if sample.answer not in (None, said.sample.answer):
                what = "samples of the training file have the label of their feedback, not that of the file"
                notes.note(what, repr(sample.id))
            sample = with_answer(sample, said.sample.answer)
        found.append(sample)
    added = []
    for word in _not_held_out(
        [word for known, word in usable.items() if known not in used], test, notes, images, audio
    ):
        if word.number or word.sample.key in taken:
            what = "samples with feedback have the id of another sample and were given one of their own"
            notes.note(what, repr(word.sample.id))
            word = word.renamed
        used[_known(word.sample)] = word
        added.append(word.sample)
    return [*found, *added], FeedbackSamples(used, added)


def without_repeats(
    samples: Sequence[Sample],
    feedback: FeedbackSamples,
    images: Path | None,
    notes: Notes,
    audio: Path | None = None,
) -> tuple[list[Sample], FeedbackSamples]:
    """The same without added samples that say what another one with the same label says.

    Each would count twice, and in cross-validation a classifier would be asked what it was told. Samples of files
    stay; of several from feedback the first does. `samples` have the labels that they are trained with.
    """
    if not feedback.added:
        return list(samples), feedback
    added, tasks = set(map(_known, feedback.added)), {sample.task for sample in feedback.added}
    mine = [sample for sample in samples if sample.task in tasks]
    said = [(s.task, content, s.answer) for s, content in zip(mine, contents_of(mine, images, audio), strict=True)]
    of_files = {each for sample, each in zip(mine, said, strict=True) if _known(sample) not in added}
    first: dict[object, Known] = {}
    repeats = set()
    for sample, each in zip(mine, said, strict=True):
        known = _known(sample)
        if known in added and (each in of_files or first.setdefault(each, known) != known):
            notes.note(TWICE, repr(sample.id))
            repeats.add(known)
    words = {known: word for known, word in feedback.words.items() if known not in repeats}
    kept = [sample for sample in feedback.added if _known(sample) not in repeats]
    return [sample for sample in samples if _known(sample) not in repeats], FeedbackSamples(words, kept)


def check_feedback(feedback: FeedbackSamples, given: GivenLabels, tasks: Sequence[Task]) -> Iterator[Finding]:
    """One finding for each task of whose samples people said different things, and `given` labels nothing since."""
    open_ = [word for word in feedback.words.values() if word.others and given.of(word.sample) is None]
    for task in tasks:
        apart = [
            f"{word.sample.id}: " + ", ".join(f"{each.by} {answer_words(each.label)}" for each in word.events)
            for word in open_
            if word.sample.task == task.name
        ]
        message = "people gave different labels to samples that the service decided; the last one counts"
        yield from finding("feedback-apart", "train", task.name, apart, message)


def _known(sample: Sample) -> Known:
    return sample.key, sample.fingerprint


def _problem(word: LastWord, task: Task | None) -> str:
    """Why a sample with feedback cannot be trained on; empty where it can."""
    if task is None:
        return "samples with feedback are not used, as the project has no such task"
    given = word.sample.given_labels or ()
    if task.multi != (word.sample.labels is not None):
        may = "have several labels" if task.multi else "have only one label"
        return f"samples with feedback are not used, as samples of their task {may} now"
    if any(label not in task.label_names for label in given):
        return "samples with feedback are not used, as their task does not list the label any more"
    return ""


def _not_held_out(
    words: Sequence[LastWord], test: Sequence[Sample], notes: Notes, images: Path | None, audio: Path | None
) -> Iterator[LastWord]:
    """What says and shows something else than all `test` samples."""
    contents = contents_of([*test, *(word.sample for word in words)], images, audio)
    held_out = {(sample.task, content) for sample, content in zip(test, contents, strict=False)}
    for word, content in zip(words, contents[len(test) :], strict=True):
        if (word.sample.task, content) in held_out:
            notes.note("samples with feedback are not trained on, as data.test has them", repr(word.sample.id))
        else:
            yield word
