"""Whether other words for what was said ask for the same thing: a model reads the two texts, and nothing else."""

from collections.abc import Sequence

from kdsl.sample import Task
from kdsl.small.wording import CHINESE, wording_of
from kdsl.vlm.conversation import Instruction, ask
from kdsl.vlm.model import VisionLanguageModel, probabilities

_CHINESE = (
    "下面是两个用户说的话。\n第一个：{text}\n第二个：{other}\n他们要问的或要说的是同一件事吗？只回答{yes}或{no}。"
)
_ENGLISH = (
    "Two users wrote this.\nThe first: {text}\nThe second: {other}\nDo they ask for, or say, the same thing? Answer "
    "{yes} or {no} only."
)


def same_request(model: VisionLanguageModel, task: Task, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """For each (text, other words for it) whether the model finds yes more probable than no.

    It is not told the label, which it would find in anything. Of the task only the language counts. Raises KdslError
    as the model does.
    """
    if not pairs:
        return []
    wording = wording_of(task)
    template = _CHINESE if wording is CHINESE else _ENGLISH
    conversations = [
        ask(Instruction(template.format(text=text, other=other, yes=wording.yes, no=wording.no)))
        for text, other in pairs
    ]
    scores = model.score(conversations, wording.options)
    # Not 0.5 itself: so much has a server none of whose answers was yes or no.
    return [float(yes) > 0.5 for yes in probabilities(scores.log_probabilities)[:, 0]]
