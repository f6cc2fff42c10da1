"""Findings that need the images: missing, unreadable, huge or narrow ones, and near-duplicates across splits."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kdsl.data.duplicates import near_duplicates
from kdsl.data.finding import Finding, finding
from kdsl.data.images import HUGE_PIXELS, LONGEST_SIDE, MAX_RATIO, ImageFacts, images_facts
from kdsl.progress import Progress
from kdsl.sample import Sample, Task


def check_images(
    splits: Mapping[str, Sequence[Sample]], folder: Path | None, progress: Progress | None = None
) -> tuple[list[Finding], dict[str, np.ndarray]]:
    """The findings about images, and the difference hash, bool [256], of every image that can be compared."""
    names = list(dict.fromkeys(image for samples in splits.values() for sample in samples for image in sample.images))
    if not names:
        return [], {}
    if folder is None or not folder.is_dir():
        what = "data.images is not set" if folder is None else f"the image folder {folder} does not exist"
        return [Finding("no-image-folder", "", "", len(names), f"{what}, so that no image can be found")], {}
    facts = images_facts(names, folder, progress)
    found: list[Finding] = []
    for split, samples in splits.items():
        listed = list(dict.fromkeys(image for sample in samples for image in sample.images))
        found.extend(_problems(split, listed, facts, folder))
    return found, {name: fact.hash for name, fact in facts.items() if fact.hash is not None}


def check_near_duplicates(
    splits: Mapping[str, Sequence[Sample]],
    tasks: Sequence[Task],
    hashes: Mapping[str, np.ndarray],
    sounds: Mapping[str, object],
) -> Iterator[Finding]:
    """One finding for each task with samples that "train" and "test" share, if there are both."""
    if "train" not in splits or "test" not in splits:
        return
    for task in tasks:
        train, test = ([s for s in splits[split] if s.task == task.name] for split in ("train", "test"))
        pairs = [f"{test[j].id} like {train[i].id}" for i, j in near_duplicates(train, test, hashes, sounds)]
        message = "test samples are near-duplicates of training samples; scores on them say little"
        yield from finding("near-duplicates", "test", task.name, pairs, message)


def _problems(split: str, names: Sequence[str], facts: Mapping[str, ImageFacts], folder: Path) -> Iterator[Finding]:
    def having(problem: str) -> list[str]:
        named = [(name if name == name.strip() else repr(name), facts[name]) for name in names]
        return [f"{name} ({f.detail})" if f.detail else name for name, f in named if f.problem == problem]

    yield from finding("missing-images", split, "", having("missing"), f"images are not in {folder}")
    message = f"image names lead by links out of {folder}; these images are never opened: put the files there"
    yield from finding("outside-images", split, "", having("outside"), message)
    yield from finding("unreadable-images", split, "", having("unreadable"), "images cannot be read; replace them")
    limit = f"{HUGE_PIXELS // 1_000_000} megapixels"
    side = f"a side of over {LONGEST_SIDE} pixels"
    message = f"images have {limit} or more, or {side}; shrink or cut them"
    yield from finding("huge-images", split, "", having("huge"), message)
    sizes = [(name, facts[name].size) for name in names if facts[name].narrow]
    narrow = [f"{name} ({size[0]} x {size[1]} pixels)" for name, size in sizes if size is not None]
    message = f"images have one side more than {MAX_RATIO} times the other; OCR and models see them with a margin"
    yield from finding("narrow-images", split, "", narrow, message)
