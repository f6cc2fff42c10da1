"""Cutting prompts into batches by their lengths and the memory that there is; less where it runs out all the same."""

import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import TypeVar

import torch
from transformers import PreTrainedModel

from kdsl.errors import KdslError
from kdsl.pretrained import is_out_of_memory
from kdsl.vlm.memory import Shape, batch_bytes, free_bytes
from kdsl.vlm.processor import Prompt
from kdsl.vlm.scoring import choose_method

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Work = Callable[[list[Prompt]], list[Answer]]
"""What is computed of a batch: an answer for each of its prompts."""

CPU_TOKENS = 4096
"""Tokens at once on a CPU, padding and answers included: more are no quicker there."""


class Batches:
    """Prompts of similar length together, as many at once as memory takes."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._shape = Shape.of(model)
        self._most: float = inf
        """What a batch may cost since memory ran out."""

    def map(self, prompts: Sequence[Prompt], work: Work[Answer], lengths: Sequence[int]) -> list[Answer]:
        """What `work` gives for every prompt, in their order; `lengths` are the tokens of the answers that it scores,
        or of the one that it generates. Raises KdslError where one prompt alone is too much."""
        # Longest first: what does not fit the memory shows at once.
        order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
        answers: list[Answer] = []
        while len(answers) < len(prompts):
            left = [prompts[row] for row in order[len(answers) :]]
            part = left[: self._fitting(left, lengths)]
            done = _attempt(part, work)
            if done is not None:
                answers += done
            elif len(part) == 1:
                raise KdslError(
                    f"out of memory on {self._model.device} with a single prompt of {len(part[0])} tokens; lower the "
                    "pixel budget or the limit of tokens, or take a smaller model"
                )
            else:
                half = len(part) // 2
                self._most = self._cost(part[:half], lengths)
                log.warning("out of memory with %d prompts at once: going on with %d", len(part), half)
        return [answer for _, answer in sorted(zip(order, answers, strict=True), key=lambda pair: pair[0])]

    def _fitting(self, prompts: Sequence[Prompt], lengths: Sequence[int]) -> int:
        """How many of the first of these prompts, the longest first, go through the model at once; at least one."""
        budget = min(self._most, CPU_TOKENS if self._model.device.type == "cpu" else free_bytes(self._model))
        rows = 1
        while rows < len(prompts) and self._cost(prompts[: rows + 1], lengths) <= budget:
            rows += 1
        return rows

    def _cost(self, prompts: Sequence[Prompt], lengths: Sequence[int]) -> int:
        """In tokens on a CPU, in bytes elsewhere."""
        longest = len(prompts[0])
        if self._model.device.type == "cpu":
            return len(prompts) * (longest + sum(lengths))
        method = choose_method(self._model, longest, lengths)
        return batch_bytes(self._shape, len(prompts), longest, lengths, sum(map(_encoded, prompts)), method)


def _encoded(prompt: Prompt) -> int:
    """Patches of pictures, and pairs of frames of sounds."""
    patches = 0 if prompt.pixel_values is None else len(prompt.pixel_values)
    frames = 0 if prompt.input_features is None else len(prompt.input_features) * prompt.input_features.shape[-1]
    return patches + frames // 2


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
