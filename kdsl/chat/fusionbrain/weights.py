"""Where the weights of an export lie here, and where in it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from kdsl.config import EMBEDDED_SPEECH
from kdsl.errors import KdslError, first_line
from kdsl.hosts import is_address
from kdsl.pretrained import location_of, without_extra

FOLDER = Path("weights")
"""Below team_code."""


def sources(model: str, speech: str) -> dict[str, Path]:
    """What stands in the export as weights/NAME → its directory here: `model`, and `adapter` and `speech` if there are
    any.

    `model` and `speech` are named as in kdsl.yaml. Raises KdslError for a server, for there is no network where the
    export runs, and for what is not here.
    """
    try:
        from kdsl.vlm.checkpoint import adapter_base, find_model, is_adapter
    except ImportError as error:
        raise without_extra(model, error) from error
    found = {}
    if is_adapter(model):
        found["adapter"] = Path(model).expanduser()
        model = adapter_base(found["adapter"])
    found["model"] = directory(model)
    find_model(str(found["model"]))
    if speech != EMBEDDED_SPEECH:
        found["speech"] = directory(speech)
    return found


def directory(name: str) -> Path:
    """The directory of a model that is one, or of a hub id that was fetched before."""
    if is_address(name):
        raise KdslError(f"{name}: is a server, but the export runs without a network; name a model's directory")
    location = Path(location_of(name))
    if location.is_dir():
        return location
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError) as error:
        raise KdslError(
            f"{name}: is not on this machine ({first_line(error)}); download it, and name its directory"
        ) from error


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a model relative to its directory, sorted; hidden ones are of tools."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative


def copy_weights(source: Path, target: Path) -> None:
    """Copy a model's directory; what links lead to is copied itself, as in the hub's cache."""
    for relative in files_of(source):
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / relative, target / relative)
