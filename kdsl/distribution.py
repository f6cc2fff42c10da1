"""What of KDSL is installed: its distribution, what that requires, how the rest is installed, and on what machine."""

import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

NAME = "kdsl-rules"
"""On a package index the name `kdsl` belongs to another project."""

Extra = Literal["meaning", "ocr", "vlm", "review", "serve", "voice", "chat", "excel", "arrow", "ray"]
EXTRAS: tuple[Extra, ...] = ("meaning", "ocr", "vlm", "review", "serve", "voice", "chat", "excel", "arrow", "ray")
"""What a user may want besides the core; `test` and `mutants` are for those who work on KDSL."""

_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")


def requirements(extra: Extra | None = None) -> list[str]:
    """The requirements of an extra, of the core without one, such as `numpy>=2.0`.

    Empty where the package is imported from a folder that is not installed.
    """
    try:
        found = [requirement.partition(";") for requirement in requires(NAME) or ()]
    except PackageNotFoundError:
        return []
    return [text.strip() for text, _, marker in found if _extra(marker) == extra]


def install_command(extra: Extra) -> str:
    """The command that installs an extra; it needs neither the repository nor KDSL on a package index.

    Of "review" it is `pip install "fastapi>=0.115" "jinja2>=3.1" "uvicorn>=0.30"`, in a checkout that of its folder.
    """
    found = requirements(extra) or [f"{Path(__file__).resolve().parents[1]}[{extra}]"]
    return "pip install " + " ".join(f'"{requirement}"' for requirement in found)


def installation() -> dict[str, str]:
    """What a bug report needs to say, as `kdsl info` prints it: versions, the machine, and what each extra lacks."""
    import os
    import platform
    import sys

    from kdsl.version import __version__

    installed = installed_version(NAME)
    facts = {
        "kdsl": __version__,
        "distribution": f"{NAME} {installed}" if installed else f"{NAME} is not installed, only imported",
        "folder": str(Path(__file__).resolve().parent),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": str(os.cpu_count()),
        "devices": _devices(),
    }
    facts.update({name: version or "not installed" for name, version in _versions(requirements()).items()})
    for extra in EXTRAS:
        found = _versions(requirements(extra))
        missing = [name for name, version in found.items() if version is None]
        there = ", ".join(f"{name} {version}" for name, version in found.items() if version is not None)
        note = f"missing {', '.join(missing)}: {install_command(extra)}" if missing or not found else ""
        facts[f"extra {extra}"] = "; ".join(part for part in (there, note) if part)
    return facts


def _versions(requirements: list[str]) -> dict[str, str | None]:
    """The package of each requirement, which begins with its name, and the version that is installed."""
    return {name: installed_version(name) for name in map(package, requirements)}


def package(requirement: str) -> str:
    """The name of the package in a requirement such as `numpy>=2.0`."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def installed_version(name: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> str:
    """Accelerators that torch sees. Importing torch takes seconds, which a bug report is worth."""
    if installed_version("torch") is None:
        return "cpu (torch is not installed)"
    import torch

    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _extra(marker: str) -> str | None:
    found = _EXTRA.search(marker)
    return found[1] if found else None
