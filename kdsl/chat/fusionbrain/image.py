"""The image in which an export runs: a Dockerfile, what it installs, and in which versions."""

import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from kdsl.distribution import NAME, requirements
from kdsl.errors import KdslError

CONTRACT = ("huggingface_hub", "jsonlines", "numpy")
"""Packages that a runner of the challenge needs itself. Of its list, json, typing, datetime, time and traceback come
with Python."""

_DOCKERFILE = """\
# The image for team_code/: Python, and what KDSL needs. KDSL itself and the weights are in team_code/.
#   docker build -t team .        in this folder, once, where there is a network
# The contract asks for json, typing, datetime, time and traceback too, which come with Python.
FROM python:{python}-slim

COPY requirements.txt constraints.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt -c /tmp/constraints.txt

# There is no network where it runs, and nothing may wait for one.
ENV HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
"""


def dockerfile() -> str:
    """For this version of Python, whose packages the versions are of."""
    return _DOCKERFILE.format(python=f"{sys.version_info.major}.{sys.version_info.minor}")


def needed() -> list[str]:
    """What the image installs, sorted, one requirement each.

    Raises KdslError where KDSL is not installed, so that nobody knows.
    """
    own = requirements()
    if not own:
        raise KdslError(f"{NAME} is not installed, only imported; install it, so that the image's packages are known")
    names = {_name(requirement) for requirement in own}
    own += [each for extra in ("vlm", "voice") for each in requirements(extra) if _name(each) not in names]
    names = {_name(requirement) for requirement in own}
    return sorted([*own, *(name for name in CONTRACT if _normal(name) not in names)], key=str.lower)


def pins(needs: list[str]) -> list[str]:
    """`name==version` of all that `needs` and their own needs have installed here: what the export was tried with.

    Of what is not installed here there is none, nor of what extras need. A pin too many does nothing.
    """
    found: dict[str, str] = {}
    waiting = [_name(requirement) for requirement in needs]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            # Without what tells builds apart, such as +cpu: the image takes the one for its machine.
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
        waiting += [_name(requirement) for requirement in requires(name) or () if "extra ==" not in requirement]
    return [f"{name}=={found[name]}" for name in sorted(found)]


def _name(requirement: str) -> str:
    return _normal(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])


def _normal(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()
