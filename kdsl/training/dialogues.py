"""Dialogues that a projection learns from, some of them held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.training.examples import Example
from kdsl.vlm.conversation import Audio, Picture, pictures, sounds


@dataclass(frozen=True, slots=True)
class TaughtDialogue:
    id: str
    examples: tuple[Example, ...]
    """Each answer in it with what stands before it."""


def examples_of(dialogues: Sequence[TaughtDialogue]) -> list[Example]:
    """Those of all dialogues, in order."""
    return [example for dialogue in dialogues for example in dialogue.examples]


def hold_out_dialogues(
    dialogues: Sequence[TaughtDialogue], share: float, seed: int
) -> tuple[list[TaughtDialogue], list[TaughtDialogue]]:
    """Those to learn from and those held out, about `share` of them; dialogues about the same files stay together.

    The same seed holds out the same ones. Raises KdslError where all are about the same files.
    """
    group_of = _groups(dialogues)
    n_groups = len(np.unique(group_of))
    if n_groups < 2:
        raise KdslError(
            f"{len(dialogues)} dialogues about the same sounds or pictures are too few to learn from some and hold "
            "out others; add dialogues about others"
        )
    number = min(max(1, round(share * n_groups)), n_groups - 1)
    held_out = np.isin(group_of, np.random.default_rng(seed).permutation(n_groups)[:number])
    parts: tuple[list[TaughtDialogue], list[TaughtDialogue]] = [], []
    for dialogue, held in zip(dialogues, held_out.tolist(), strict=True):
        parts[held].append(dialogue)
    return parts


def _groups(dialogues: Sequence[TaughtDialogue]) -> NDArray[np.int64]:
    """[n_dialogues]: the number of each one's group; those that share a sound or a picture are in one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    numbers: dict[Picture | Audio, int] = {}
    edges = []
    for row, dialogue in enumerate(dialogues):
        for each in dialogue.examples:
            files: list[Picture | Audio] = [*pictures(each.conversation), *sounds(each.conversation)]
            for file in files:
                edges.append((row, len(dialogues) + numbers.setdefault(file, len(numbers))))
    size = len(dialogues) + len(numbers)
    graph = coo_matrix((np.ones(len(edges)), np.array(edges).reshape(-1, 2).T), shape=(size, size))
    _, found = connected_components(graph, directed=False)
    return np.unique(found[: len(dialogues)], return_inverse=True)[1]
