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

from kdsl.errors import KdslError
from kdsl.files import write_atomically


def write_npz(path: Path, version: int, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """KdslError when it cannot be written."""
    content = io.BytesIO()
    text = json.dumps({"version": version, **header})
    np.savez(content, header=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    write_atomically(path, content.getvalue())


@contextmanager
def open_npz(path: Path, version: int, what: str) -> Iterator[tuple[dict[str, Any], Mapping[str, NDArray[Any]]]]:
    """Header and arrays of a file that `write_npz` wrote; `what` it is said to be in errors.

    Raises KdslError when it is missing, unreadable or of another version, and where the caller raises ValueError,
    KeyError, TypeError or AttributeError for what stands in it.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["version"] != version:
                raise KdslError(
                    f"{path}: version {header['version']} of {what}, this KDSL reads version {version}; train again "
                    "with: kdsl train"
                )
            yield header, arrays
    except FileNotFoundError as error:
        raise KdslError(f"{path}: no such file; train again with: kdsl train") from error
    except OSError as error:
        raise KdslError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise KdslError(f"{path}: damaged or not {what} ({error}); train again with: kdsl train") from error
