"""kdsl info: what a bug report needs to say."""

import typer

from kdsl.cli.options import Format, FormatOption

_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pydantic", "ruamel.yaml", "daachorse", "networkx", "matplotlib", "pillow",
    "typer", "rich",
)  # fmt: skip
_EXTRAS = {
    "ocr": ("rapidocr", "onnxruntime"),
    "vlm": ("torch", "transformers", "accelerate", "peft", "qwen-vl-utils"),
    "review": ("fastapi", "jinja2", "uvicorn"),
}


def info(format: FormatOption = Format.table) -> None:
    """Print versions, devices and installed extras, for a bug report."""
    import json

    facts = _facts()
    if format is Format.json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def _facts() -> dict[str, str]:
    import os
    import platform
    import sys

    from kdsl import __version__

    facts = {
        "kdsl": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": str(os.cpu_count()),
        "devices": _devices(),
    }
    facts.update({name: _version(name) or "not installed" for name in _PACKAGES})
    for extra, names in _EXTRAS.items():
        found = {name: _version(name) for name in names}
        missing = [name for name, version in found.items() if version is None]
        installed = ", ".join(f"{name} {version}" for name, version in found.items() if version is not None)
        note = f'missing {", ".join(missing)}: pip install "kdsl[{extra}]"' if missing else ""
        facts[f"extra {extra}"] = "; ".join(part for part in (installed, note) if part)
    return facts


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
