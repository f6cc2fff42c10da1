"""What training leaves in .npz files: arrays, and a header of JSON with texts and a version; no pickle."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import Hint, KdslError
from kdsl.files import is_there, parsing, read_bytes, write_atomically


def write_npz(path: Path, version: int, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """KdslError when it cannot be written."""
    content = io.BytesIO()
    text = json.dumps({"version": version, **header})
    # No array is called `allow_pickle`, as the type checker fears.
    np.savez(content, header=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    write_atomically(path, content.getvalue())


Arrays = Mapping[str, NDArray[Any]]

_LARGEST = 1e30
"""Single precision ends at 3e38; nothing that training finds comes near."""


@contextmanager
def open_npz(path: Path, version: int, what: str) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Header and arrays of a file that `write_npz` wrote; `what` it is said to be in errors.

    Raises KdslError when it is missing, unreadable or of another version, and for whatever the caller raises about
    what stands in it.
    """
    arrays = read_arrays(path, what)
    with parsing(path, f"damaged or not {what}", Hint.TRAIN_AGAIN):
        header = json.loads(arrays["header"].tobytes())
        if header["version"] != version:
            raise KdslError(
                f"{path}: version {header['version']} of {what}, this KDSL reads version {version}", Hint.TRAIN_AGAIN
            )
        strange = next((name for name, array in arrays.items() if array.dtype.kind not in "biuf"), None)
        if strange is not None:
            raise ValueError(f"{strange} holds no numbers")
        yield header, arrays


def read_arrays(path: Path, what: str) -> Arrays:
    """All arrays of an npz file; KdslError for one that is missing or damaged, and for numbers that cannot be.

    Such files are not compressed: one that is may hold more than fits the memory.
    """
    if not is_there(path):
        raise KdslError(f"{path}: no such file", Hint.TRAIN_AGAIN)
    content = read_bytes(path)
    with parsing(path, f"damaged or not {what}", Hint.TRAIN_AGAIN):
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            found = members.infolist()
            if any(each.compress_type != zipfile.ZIP_STORED for each in found):
                raise ValueError("it is compressed")
            if sum(each.file_size for each in found) > len(content):
                raise ValueError("it holds more than its size")
        with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not (np.abs(array) < _LARGEST).all():
                raise ValueError(f"{name} holds numbers beyond {_LARGEST:g}")
    return arrays


def floats(arrays: Arrays, name: str, dimensions: int) -> NDArray[np.float64]:
    """An array of numbers; KeyError or ValueError where it is something else."""
    return _array(arrays, name, "f", dimensions).astype(np.float64)


def integers(arrays: Arrays, name: str, dimensions: int) -> NDArray[np.int64]:
    """An array of whole numbers; KeyError or ValueError where it is something else."""
    return _array(arrays, name, "i", dimensions).astype(np.int64)


def _array(arrays: Arrays, name: str, kind: str, dimensions: int) -> NDArray[Any]:
    array = arrays[name]
    if array.dtype.kind != kind or array.ndim != dimensions:
        raise ValueError(f"{name} is of type {array.dtype} with {array.ndim} dimensions")
    return array
