"""A sample in few words: the last thing that the user said, or how its page begins."""

from kdsl.fields.table import SampleFields, last_user_turn
from kdsl.sample import Sample

LONGEST_OPENING = 40
"""Characters."""


def last_words(sample: Sample, most: int) -> str:
    """The last turn in which the user says something, in one line of at most `most` characters; "" without one."""
    last = last_user_turn(sample)
    return "" if last is None else beginning(sample.turns[last].text, most)


def opening(row: SampleFields) -> str:
    """What a person knows the sample by, in one line: the user's last words, else the first ones on its images."""
    said = last_words(row.sample, LONGEST_OPENING)
    return said or beginning(
        " ".join(line.text for page in row.cleaned.pages for line in page.lines), LONGEST_OPENING
    )  # fmt: skip


def beginning(text: str, most: int) -> str:
    """The text in one line, cut to `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
