"""The memory that tensors take at the most while something is computed, counted where they are made and let go of."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """`peak`: bytes of all tensors at once that were made inside; what is there before does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {
            each.untyped_storage()._cdata for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)
        }
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if not isinstance(each, torch.Tensor):
                continue
            storage = each.untyped_storage()
            place = storage._cdata
            if place not in self._alive and place not in before:
                self._alive[place] = storage.nbytes()
                weakref.finalize(storage, self._alive.pop, place)
        self.peak = max(self.peak, sum(self._alive.values()))
        return made
