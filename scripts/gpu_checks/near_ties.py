"""How far the log-probabilities of a row depend on the batch that it stands in."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    programs = [Program(size, "vlm_noise", ("--device", machine.device, "--size", size)) for size in machine.sizes]
    return Check("near ties", 1, programs)
