"""Scoring labels at the sizes of Qwen2-VL-2B and -7B."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    programs = [_program(machine, size) for size in machine.sizes]
    return Check("scoring", 4, [*programs, _program(machine, machine.sizes[-1], "--compile")])


def _program(machine: Machine, size: str, *more: str) -> Program:
    shape = ("--tokens", "1300", "--side", "27") if machine.device == "cuda" else ("--tokens", "72", "--side", "4")
    return Program(" ".join((size, *more)), "vlm", ("--device", machine.device, "--size", size, *shape, *more))
