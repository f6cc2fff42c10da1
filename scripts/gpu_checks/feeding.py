"""How many samples the feeding side delivers on this machine's cores: whether it keeps up with the GPU."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    return Check("feeding", 1, [Program("pictures", "vlm_feed")])
