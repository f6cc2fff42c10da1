"""What the agent answers in the end: a service may have to predict before it is said."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from kdsl.data.finding import Finding, finding
from kdsl.sample import Sample, Task, Turn

ANSWERED_SHARE = 0.5
"""From this share of training dialogues that end with an answer on, a model may go by the answers."""


def answer_start(turns: Sequence[Turn]) -> int:
    """Index of the first of the agent's turns that end a dialogue; the number of turns where the user ends it."""
    start = len(turns)
    while start and turns[start - 1].role == "agent":
        start -= 1
    return start


def before_answer(sample: Sample) -> Sample:
    """The sample as it was before the agent answered: without the agent's last turns, and the images and sounds in
    them."""
    start = answer_start(sample.turns)
    if start == len(sample.turns):
        return sample
    images = _without_last(sample.images, (image for turn in sample.turns[start:] for image in turn.images))
    audio = _without_last(sample.audio, (audio for turn in sample.turns[start:] for audio in turn.audio))
    return replace(sample, turns=sample.turns[:start], images=images, audio=audio)


def _without_last(files: Sequence[str], gone: Iterable[str]) -> tuple[str, ...]:
    """Of each that is gone it is the last one that goes, as often as it is named."""
    kept = list(reversed(files))
    for file in gone:
        if file in kept:
            kept.remove(file)
    return tuple(reversed(kept))


def is_answered(sample: Sample) -> bool:
    """Whether the dialogue ends with words or sounds of the agent."""
    return any(map(_says, sample.turns[answer_start(sample.turns) :]))


def check_answers(splits: Mapping[str, Sequence[Sample]], tasks: Sequence[Task]) -> Iterator[Finding]:
    """One finding for each task whose training dialogues end with an answer of the agent while test ones do not."""
    if "train" not in splits or "test" not in splits:
        return
    for task in tasks:
        train, test = (_dialogues(splits[split], task) for split in ("train", "test"))
        learned, asked = (sum(map(is_answered, dialogues)) for dialogues in (train, test))
        if not train or not test or learned < ANSWERED_SHARE * len(train):
            continue
        # By far fewer: a few more or less are chance.
        if 2 * asked * len(train) < learned * len(test):
            message = (
                f"dialogues do not end with an answer of the agent, as {learned} of {len(train)} training ones do; "
                "where predictions are made before the agent answers, set fields.last_agent: false"
            )
            without = [sample.id for sample in test if not is_answered(sample)]
            yield from finding("no-answer", "test", task.name, without, message)


def _dialogues(samples: Sequence[Sample], task: Task) -> list[Sample]:
    """Those of the task in which anything is said."""
    return [s for s in samples if s.task == task.name and any(map(_says, s.turns))]


def _says(turn: Turn) -> bool:
    return bool(turn.text.strip() or turn.audio)
