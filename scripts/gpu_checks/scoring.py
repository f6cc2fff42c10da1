"""Scoring labels at the sizes of Qwen2-VL-2B and -7B: by each attention that is installed, as written and compiled."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    programs = [
        program(machine, size, attention, compiled)
        for compiled in (
            (False, True) if machine.device == "cuda" else (False,)
        )  # compiling takes longest, and is last
        for size in machine.sizes
        for attention in ("sdpa", *machine.flash_attentions)
    ]
    return Check("scoring", 5, programs)


def program(machine: Machine, size: str, attention: str, compiled: bool) -> Program:
    shape = ("--tokens", "1300", "--side", "27")  # 23 labels, a picture of 729 tokens
    if machine.device == "cpu":
        shape = ("--tokens", "60", "--side", "4", "--labels", "4", "--repeats", "1")
    how = ("--attention", attention, *(["--compile"] if compiled else []))
    title = f"{size}, {attention}{', compiled' if compiled else ''}"
    return Program(title, "vlm", ("--device", machine.device, "--size", size, *shape, *how))
