"""How far the log-probabilities of a row depend on the batch that it stands in."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    small = ("--prompts", "3", "--labels", "4", "--tokens", "60", "--side", "4") if machine.device == "cpu" else ()
    programs = [
        Program(size, "vlm_noise", ("--device", machine.device, "--size", size, *small)) for size in machine.sizes
    ]
    return Check("near_ties", 1, programs)
