"""Steps of LoRA training at the size of Qwen2-VL-7B."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    size = machine.sizes[-1]
    shape = ("--tokens", "1300", "--side", "27") if machine.device == "cuda" else ("--tokens", "72", "--side", "4")
    return Check("LoRA", 2, [_program(machine, size, shape, batch) for batch in (1, 8)])


def _program(machine: Machine, size: str, shape: tuple[str, ...], batch: int) -> Program:
    arguments = ("--device", machine.device, "--size", size, *shape, "--batch", str(batch))
    return Program(f"{size}, batch {batch}", "vlm_training", arguments)
