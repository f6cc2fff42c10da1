"""Steps of LoRA training at the size of Qwen2-VL-7B; the benchmark packs and pads, with and without checkpointing."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Program


def check(machine: Machine) -> Check:
    size = machine.sizes[-1]
    arguments = ("--device", machine.device, "--size", size)
    if machine.device == "cpu":
        return Check("lora", 2, [Program(size, "vlm_training", (*arguments, "--tokens", "60", "--side", "4"))])
    shape = ("--tokens", "1300", "--side", "27", "--batch")
    return Check(
        "lora",
        3,
        [
            Program(f"{size}, 8 examples", "vlm_training", (*arguments, *shape, "8")),
            Program(f"{size}, 4 examples", "vlm_training", (*arguments, *shape, "4", "--compile")),
        ],
    )
