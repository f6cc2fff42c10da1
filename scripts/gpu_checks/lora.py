"""Steps of LoRA training at the size of Qwen2-VL-7B: packed, padded, with activation checkpointing, compiled."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    size = machine.sizes[-1]
    shape = ("--tokens", "1300", "--side", "27") if machine.device == "cuda" else ("--tokens", "60", "--side", "4")
    if machine.device == "cpu":
        return Check("lora", 3, [_program(machine, size, shape, 2)])
    programs = [_program(machine, size, shape, batch) for batch in (1, 8)]
    programs.append(_program(machine, size, (*shape, "--compile"), 4))  # compiling takes a minute, and is last
    return Check("lora", 3, programs)


def _program(machine: Machine, size: str, options: tuple[str, ...], batch: int) -> Program:
    arguments = ("--device", machine.device, "--size", size, *options, "--batch", str(batch))
    return Program(f"{size}, batch {batch}", "vlm_training", arguments)
