"""Cutting prompts into batches, which become smaller where memory runs out."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from kdsl.errors import KdslError
from kdsl.pretrained import is_out_of_memory
from kdsl.vlm.processor import Prompt

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Work = Callable[[list[Prompt]], list[Answer]]
"""What is computed of a batch: an answer for each of its prompts."""


class Batches:
    """Prompts of similar length together, as many at once as memory takes."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.size = size
        """Prompts at once; halved when memory does not suffice."""
        self._device = device

    def map(self, prompts: Sequence[Prompt], work: Work[Answer]) -> list[Answer]:
        """What `work` gives for every prompt, in their order. Raises KdslError where one alone is too much."""
        # Longest first: what does not fit the memory shows at once.
        order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
        answers = self._halving([prompts[row] for row in order], work)
        return [answer for _, answer in sorted(zip(order, answers, strict=True), key=lambda pair: pair[0])]

    def _halving(self, prompts: list[Prompt], work: Work[Answer]) -> list[Answer]:
        answers: list[Answer] = []
        while len(answers) < len(prompts):
            part = prompts[len(answers) : len(answers) + self.size]
            done = _attempt(part, work)
            if done is not None:
                answers += done
            elif len(part) == 1:
                raise KdslError(
                    f"out of memory on {self._device} with a single prompt of {len(part[0])} tokens; lower the pixel "
                    "budget or the limit of tokens, or take a smaller model"
                )
            else:
                self.size = len(part) // 2
                log.warning("out of memory: going on with batches of %d", self.size)
        return answers


def _attempt(prompts: list[Prompt], work: Work[Answer]) -> list[Answer] | None:
    """None when memory ran out; all that the attempt held is free again once this has returned."""
    try:
        return work(prompts)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
