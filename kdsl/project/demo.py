"""The demo project that comes with the package, unpacked."""

from collections.abc import Sequence
from pathlib import Path

from kdsl.config import CONFIG_NAME, load_config
from kdsl.errors import KdslError
from kdsl.files import inside, write_atomically

_PACKED = Path(__file__).resolve().parents[1] / "demo"


def unpack_demo(folder: Path, overrides: Sequence[str] = ()) -> None:
    """Write the files of the demo that `folder` lacks; those that are there may have been changed by a person.

    kdsl.yaml comes first, so that an unpacking that was interrupted is known as a demo. Raises KdslError, before
    anything is written, for a folder that holds something else, and for a mistake in the `overrides` of its kdsl.yaml.
    """
    load_config(_PACKED, overrides)
    _check(folder)
    files = sorted(path for path in _PACKED.rglob("*") if path.is_file())
    for packed in sorted(files, key=lambda path: path.name != CONFIG_NAME):
        name = packed.relative_to(_PACKED)
        if not (folder / name).exists():
            write_atomically(inside(folder, str(name)), packed.read_bytes())


def _check(folder: Path) -> None:
    if (folder / CONFIG_NAME).exists():
        if not set(load_config(folder).tasks) & set(load_config(_PACKED).tasks):
            raise KdslError(f"{folder} holds a project of its own; name another folder for the demo")
    elif folder.exists() and not folder.is_dir():
        raise KdslError(f"{folder} is a file; name a new or empty folder for the demo")
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise KdslError(f"{folder} is not empty and holds no demo; name a new or empty folder")
