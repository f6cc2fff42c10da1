"""Samples that say the same: with different labels they contradict each other, with one label they count twice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from kdsl.data.finding import Finding, finding
from kdsl.errors import KdslError
from kdsl.files import existing_file, file_digest
from kdsl.sample import Sample, Task
from kdsl.text import normalise

_SHOWN = 4
"""Ids in an example."""


def check_repeats(
    splits: Mapping[str, Sequence[Sample]], tasks: Sequence[Task], images: Path | None, audio: Path | None = None
) -> Iterator[Finding]:
    """Contradictory labels in all splits together, and repeats within each.

    The same is what has equal turns once normalised and without spaces, and equal images and sounds: the same files,
    whatever they are called. `images` and `audio` are the folders of these; without one names alone count.
    """
    contents = _Contents(list(chain.from_iterable(splits.values())), images, audio)
    for task in tasks:
        groups = _alike(
            ((split, sample) for split, samples in splits.items() for sample in samples if sample.task == task.name),
            contents,
        )
        yield from _contradictions(task, groups)
        for split in splits:
            yield from _repeats(split, task, [alike for group in groups for alike in _of_one_label(split, group)])


def same_content(samples: Sequence[Sample], images: Path | None, audio: Path | None = None) -> list[list[Sample]]:
    """The samples of one task that say, show and play the same as another one, in groups of at least two."""
    contents = _Contents(samples, images, audio)
    return [[sample for _, sample in group] for group in _alike((("", sample) for sample in samples), contents)]


def contents_of(samples: Sequence[Sample], images: Path | None, audio: Path | None = None) -> list[object]:
    """What each of the samples says, shows and plays: equal where that is the same; to be compared within one task."""
    return list(map(_Contents(samples, images, audio).of, samples))


class _Contents:
    """What samples hold, so that it can be compared."""

    def __init__(self, samples: Sequence[Sample], images: Path | None, audio: Path | None) -> None:
        self._images = file_contents((image for sample in samples for image in sample.images), images)
        self._audio = file_contents((sound for sample in samples for sound in sample.audio), audio)

    def of(self, sample: Sample) -> object:
        turns = [(turn.role, normalise(turn.text).replace(" ", "")) for turn in sample.turns]
        said = tuple(turn for turn in turns if turn[1])
        shown = tuple(self._images.get(image, image) for image in sample.images)
        return said, shown, tuple(self._audio.get(sound, sound) for sound in sample.audio)


def _alike(named: Iterable[tuple[str, Sample]], contents: _Contents) -> list[list[tuple[str, Sample]]]:
    same: dict[object, list[tuple[str, Sample]]] = defaultdict(list)
    for split, sample in named:
        if sample.turns or sample.images or sample.audio:
            same[contents.of(sample)].append((split, sample))
    return [group for group in same.values() if len(group) > 1]


def _contradictions(task: Task, groups: Sequence[Sequence[tuple[str, Sample]]]) -> Iterator[Finding]:
    several = len({split for group in groups for split, _ in group}) > 1
    count, examples = 0, []
    for group in groups:
        labelled = [(split, sample) for split, sample in group if sample.answer is not None]
        if len({sample.answer for _, sample in labelled}) > 1:
            count += len(labelled)
            shown = _of_each_label(labelled)
            named = [
                f"{split} {s.id}: {s.answer_words}" if several else f"{s.id}: {s.answer_words}" for split, s in shown
            ]
            examples.append(", ".join(named) + (", …" if len(labelled) > len(shown) else ""))
    for found in finding("contradictory-labels", "", task.name, examples, ""):
        message = "samples have the content of another one but not its label; keep the right label"
        yield Finding(found.kind, "", task.name, count, message, found.examples)


def _of_each_label(samples: Sequence[tuple[str, Sample]]) -> list[tuple[str, Sample]]:
    first: dict[object, tuple[str, Sample]] = {}
    for split, sample in samples:
        first.setdefault(sample.answer, (split, sample))
    return list(first.values())[:_SHOWN]


def _of_one_label(split: str, group: Sequence[tuple[str, Sample]]) -> list[list[Sample]]:
    of_label: dict[object, list[Sample]] = defaultdict(list)
    for of, sample in group:
        if of == split:
            of_label[sample.answer].append(sample)
    return list(of_label.values())


def _repeats(split: str, task: Task, groups: Sequence[Sequence[Sample]]) -> Iterator[Finding]:
    """Exact ones, and those that are alike once case, width, spaces and invisible characters are left out."""
    exact: list[tuple[int, str]] = []
    near: list[tuple[int, str]] = []
    for group in groups:
        alike = Counter((sample.turns, sample.images, sample.audio) for sample in group)
        again = len(group) - len(alike)
        if again:
            written, times = alike.most_common(1)[0]
            ids = [sample.id for sample in group if (sample.turns, sample.images, sample.audio) == written]
            exact.append((again, _example(ids, times)))
        if len(alike) > 1:
            near.append((len(alike) - 1, _example([sample.id for sample in group], len(group))))
    for kind, found, message in (
        ("repeats", exact, "samples repeat another one exactly; keep one of each"),
        ("near-repeats", near, "samples repeat another one but for case, width, spaces or names of files; keep one"),
    ):
        for each in finding(
            kind, split, task.name, [example for _, example in sorted(found, key=lambda each: -each[0])], message
        ):
            yield Finding(kind, split, task.name, sum(count for count, _ in found), message, each.examples)


def _example(ids: Sequence[str], times: int) -> str:
    return f"{times} times: {', '.join(ids[:_SHOWN])}{', …' if times > _SHOWN else ''}"


def file_contents(names: Iterable[str], folder: Path | None) -> dict[str, object]:
    """Name of a file → what stands for its content; for those that are like no other their name does."""
    if folder is None:
        return {}
    of_size: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for name in dict.fromkeys(names):
        path = existing_file(folder, name)
        if path is not None:
            of_size[path.stat().st_size].append((name, path))
    return {
        name: digest
        for alike in of_size.values()
        if len(alike) > 1
        for name, path in alike
        if (digest := _digest(path)) is not None
    }


def _digest(path: Path) -> bytes | None:
    try:
        return file_digest(path)
    except KdslError:  # another finding says so
        return None
