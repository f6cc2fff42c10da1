"""kdsl info: what a bug report needs to say."""

from pathlib import Path

import typer

from kdsl.cli.options import Format, FormatOption, print_json


def info(format: FormatOption = Format.table) -> None:
    """Print versions, devices and installed extras, for a bug report."""

    facts = _facts()
    if format is Format.json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def _facts() -> dict[str, str]:
    import os
    import platform
    import sys

    from kdsl.distribution import EXTRAS, NAME, install_command, requirements
    from kdsl.version import __version__

    installed = _version(NAME)
    facts = {
        "kdsl": __version__,
        "distribution": f"{NAME} {installed}" if installed else f"{NAME} is not installed, only imported",
        "folder": str(Path(__file__).resolve().parents[1]),
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
    import re

    return {name: _version(name) for name in (re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in requirements)}


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> str:
    """Accelerators that torch sees. Importing torch takes seconds, which a bug report is worth."""
    if _version("torch") is None:
        return "cpu (torch is not installed)"
    import torch

    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return "mps" if torch.backends.mps.is_available() else "cpu"
