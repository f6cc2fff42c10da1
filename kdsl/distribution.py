"""What of KDSL is installed: its distribution, what that requires, and how the rest is installed."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Literal

NAME = "kdsl-rules"
"""On a package index the name `kdsl` belongs to another project."""

Extra = Literal["ocr", "vlm", "review"]
EXTRAS: tuple[Extra, ...] = ("ocr", "vlm", "review")
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


def _extra(marker: str) -> str | None:
    found = _EXTRA.search(marker)
    return found[1] if found else None
