"""Which Python measures: one whose PyTorch sees the GPU and that has what the benchmarks import.

On a machine that nothing can be fetched on, PyTorch is the one found there. What else is missing is installed into an
environment of its own beside it, from wherever pip takes its packages: PIP_FIND_LINKS may name a folder of wheels.
"""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

from gpu_checks.running import SCRIPTS, environment

ROOT = SCRIPTS.parent
OWN = ROOT / ".cache" / "gpu_check"
"""The environment that is made."""
NEEDED = "import kdsl.data.images, kdsl.vlm.processor, kdsl.vlm.scoring, benchmarks.vlm_training"
SEES = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 3)"


class Missing(Exception):
    """What there is not, as one sentence."""


def python_for(device: str) -> str:
    """The path of an interpreter, made where needed; raises `Missing`."""
    if device == "cuda" and not has_gpu():
        raise Missing("this machine has no NVIDIA GPU")
    candidates = [OWN / "bin" / "python", ROOT / ".venv" / "bin" / "python", sys.executable, shutil.which("python3")]
    seeing = [python for python in dict.fromkeys(map(str, filter(None, candidates))) if _sees(python, device)]
    for python in seeing:
        if _lacks(python) is None:
            return python
    if not seeing:
        raise Missing("no Python here has a PyTorch" + (" that sees the GPU" if device == "cuda" else ""))
    return _made(seeing[0])


def has_gpu() -> bool:
    """Whether there is something that PyTorch might see; asked before anything is installed."""
    return shutil.which("nvidia-smi") is not None or any(Path("/dev").glob("nvidia[0-9]*"))


def _sees(python: str, device: str) -> bool:
    code = SEES if device == "cuda" else "import torch"
    return Path(python).exists() and _run(python, "-c", code).returncode == 0


def _lacks(python: str) -> str | None:
    """The last line of what importing says; None where nothing is missing."""
    done = _run(python, "-c", NEEDED)
    return None if done.returncode == 0 else _last_line(done)


def _made(python: str) -> str:
    """An environment that has the packages of `python` and, beside them, what KDSL and its extra `vlm` require."""
    lacks = _lacks(python)
    print(f"{lacks}: installing what KDSL requires into {OWN.relative_to(ROOT)}", flush=True)
    own = str(OWN / "bin" / "python")
    made = _run(python, "-m", "venv", "--clear", "--system-site-packages", str(OWN))
    # A PyTorch of another environment is seen by its path: --system-site-packages shows the base interpreter's.
    if made.returncode == 0:
        site = _run(python, "-c", "import torch, pathlib; print(pathlib.Path(torch.__file__).parent.parent)").stdout
        target = _run(own, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
        Path(target, "found.pth").write_text(site, encoding="utf-8")
        made = _run(own, "-m", "pip", "install", "-q", "--retries", "1", "--timeout", "10", *requirements())
    problem = _last_line(made) if made.returncode else _lacks(own)
    if problem is None:
        return own
    raise Missing(
        f"{python} sees the GPU, but the benchmarks cannot be imported there ({lacks}), and what KDSL requires could "
        f"not be installed beside it ({problem}); bring it as wheels and name their folder in PIP_FIND_LINKS"
    )


def requirements() -> list[str]:
    """Of the core and the extra `vlm`."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    core, extra = settings["options"]["install_requires"], settings["options.extras_require"]["vlm"]
    return [line for line in (*core.split("\n"), *extra.split("\n")) if line and not line.startswith("#")]


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    return (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment())
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
