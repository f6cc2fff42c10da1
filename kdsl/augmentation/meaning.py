"""Whether other words for what was said ask for the same thing: by sentence vectors, and by a model that reads the two
texts and nothing else."""

from collections.abc import Sequence

from kdsl.data.meanings import nearness, usual_cosine
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.sample import Task
from kdsl.small.wording import CHINESE, wording_of
from kdsl.text import normalise
from kdsl.vlm.conversation import Instruction, ask
from kdsl.vlm.model import VisionLanguageModel, probabilities

FAR = 0.25
"""Nearness below which two texts are about different things: each of 24 paraphrases in Chinese and English was nearer
to its source, with `encoder: use`. Two requests about one thing are near as well, which is for the model to judge."""

_CHINESE = (
    "下面是两个用户说的话。\n第一个：{text}\n第二个：{other}\n他们要问的或要说的是同一件事吗？只回答{yes}或{no}。"
)
_ENGLISH = (
    "Two users wrote this.\nThe first: {text}\nThe second: {other}\nDo they ask for, or say, the same thing? Answer "
    "{yes} or {no} only."
)


def far_apart(vectors: SentenceVectors | None, texts: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """For each (text, other words for it) whether they are about different things; never so without an encoder.

    `texts` tell how near any two texts usually are.
    """
    if vectors is None or not vectors.available:
        return [False] * len(pairs)
    usual = usual_cosine(vectors.of([normalise(text) for text in texts]))
    first, second = (vectors.of([normalise(pair[place]) for pair in pairs]) for place in (0, 1))
    cosines: list[float] = (first * second).sum(axis=1).tolist()
    return [nearness(cosine, usual) < FAR for cosine in cosines]


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
