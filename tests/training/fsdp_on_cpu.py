"""`kdsl` with accelerate spreading weights on CPUs too, which it does for accelerators only; for accelerate launch."""

import runpy

import accelerate.state
from accelerate.utils import DistributedType

_start = accelerate.state.PartialState.__init__


def start(self, *arguments: object, **named: object) -> None:
    _start(self, *arguments, **named)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


if __name__ == "__main__":
    accelerate.state.PartialState.__init__ = start
    runpy.run_module("kdsl", run_name="__main__")
