"""The machine that is measured: its GPU, its cores, what is installed. Run as a program it prints these as JSON."""

import json
import os
import subprocess
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Machine:
    device: str
    sizes: tuple[str, ...]
    """Of the models that are measured, the largest last: names of scripts/benchmarks/vlm_models.py."""
    name: str
    """The GPU's, or the processor's kind where there is none."""
    cores: int
    driver: str | None
    peak: float | None
    """Floating point operations a second of a large bfloat16 product; None on a CPU."""
    versions: dict[str, str]
    """Package → version, of those that are installed."""

    @property
    def flash_attentions(self) -> list[str]:
        """As transformers names them."""
        known = {"flash-attn": "flash_attention_2", "flash-attn-3": "flash_attention_3"}
        return [name for package, name in known.items() if package in self.versions and self.device == "cuda"]

    def describe(self) -> str:
        """One line for a heading."""
        parts = [self.name, f"{self.cores} CPU cores"]
        if self.driver:
            parts.append(f"driver {self.driver}")
        parts += [f"{name} {version}" for name, version in self.versions.items()]
        if self.peak is not None:
            parts.append(f"matrix peak {self.peak / 1e12:.0f} TFLOP/s (bfloat16, measured)")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def look(device: str, sizes: tuple[str, ...]) -> Machine:
    import importlib.metadata
    import platform

    import torch

    versions = {}
    for package in ("torch", "transformers", "peft", "flash-attn", "flash-attn-3"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if device == "cpu":
        return Machine("cpu", sizes, platform.machine(), cores, None, None, versions)
    from benchmarks.vlm_models import matrix_peak

    name = torch.cuda.get_device_name()
    return Machine("cuda", sizes, name, cores, _driver(), matrix_peak("cuda"), versions)


def _driver() -> str | None:
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        lines = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return lines[0] if lines else None


if __name__ == "__main__":
    import sys

    device, *sizes = sys.argv[1:]
    print(json.dumps(look(device, tuple(sizes)).as_dict()))
