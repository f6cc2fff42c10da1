"""Copies as files: samples as JSON lines, pages as an OCR sidecar, and a text that shows what was changed."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from kdsl.augmentation.augmenter import Copies
from kdsl.augmentation.words import cut
from kdsl.data.writers import plain_record
from kdsl.fields.sidecar import page_record
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.files import write_atomically
from kdsl.json_file import write_jsonl

SHOWN_LINES = 6
"""Lines of an OCR page that are gone and told."""


def write_samples(copies: Copies, path: Path) -> None:
    """One copy a line, in the plain format of docs/data.md, with what was done to it."""
    write_jsonl(
        path,
        (
            {**plain_record(row.sample), "operations": dict(operations)}
            for row, operations in zip(copies.table.rows, copies.operations, strict=True)
        ),
    )


def write_pages(copies: Sequence[Copies], path: Path) -> None:
    """The OCR sidecar of the copies' own images."""
    pages = {
        image: row.sidecars.ocr[image]
        for each in copies
        for row in each.table.rows
        for image in row.sample.images
        if image in each.pictures and image in row.sidecars.ocr
    }
    write_jsonl(path, map(page_record, pages.values()))


def write_side_by_side(copies: Copies, originals: FieldTable, path: Path) -> None:
    """Every original with its copies, texts marked as `[-what went-]` and `{+what came+}`."""
    of: dict[int, list[int]] = {}
    for index, source in enumerate(copies.sources.tolist()):
        of.setdefault(source, []).append(index)
    lines = ["Every sample with its copies. [-gone-] {+new+}", ""]
    for source, indices in of.items():
        lines += _shown(originals.rows[source], copies, indices)
    write_atomically(path, "\n".join(lines))


def marked(before: str, after: str) -> str:
    """`after`, word by word, with what went and what came since `before`."""
    old, new = ([word.text for word in cut(text)] for text in (before, after))
    parts = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, came = "".join(old[a:b]), "".join(new[c:d])
        if kind == "equal":
            parts.append(came)
        else:
            parts += [f"[-{gone}-]" if gone else "", f"{{+{came}+}}" if came else ""]
    return "".join(parts)


def _shown(original: SampleFields, copies: Copies, indices: Sequence[int]) -> Iterator[str]:
    sample = original.sample
    yield f"== {sample.id}  {sample.label}"
    for turn in sample.turns:
        yield f"  {turn.role}: {_one_line(turn.text)}"
    for index in indices:
        copy = copies.table.rows[index]
        yield f"-- {copy.sample.id}  {_counted(copies.operations[index])}"
        for turn, before in zip(copy.sample.turns, sample.turns, strict=True):
            if turn.text != before.text:
                yield f"  {turn.role}: {_one_line(marked(before.text, turn.text))}"
        for image, name in dict(zip(sample.images, copy.sample.images, strict=True)).items():
            yield from _shown_image(image, name, original, copy, copies)
    yield ""


def _shown_image(
    image: str, name: str, original: SampleFields, copy: SampleFields, copies: Copies
) -> Iterator[str]:  # fmt: skip
    if name not in copies.pictures:
        return
    yield f"  {image} → {name}: {', '.join(copies.pictures[name].plan.operations)}"
    before, after = original.sidecars.ocr.get(image), copy.sidecars.ocr.get(name)
    if before is not None and after is not None and len(after.lines) < len(before.lines):
        left = [line.text for line in after.lines]
        gone = []
        for line in before.lines:
            if line.text in left:
                left.remove(line.text)
            else:
                gone.append(line.text)
        more = f" and {len(gone) - SHOWN_LINES} more" if len(gone) > SHOWN_LINES else ""
        told = " | ".join(gone[:SHOWN_LINES])
        yield f"    {len(gone)} of {len(before.lines)} lines gone: {told}{more}"


def _counted(operations: dict[str, int]) -> str:
    return ", ".join(name if count == 1 else f"{name} {count}x" for name, count in operations.items())


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ⏎ ", text)
