"""Vectors kept on disk by what they were made of, so that nothing is computed twice."""

import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.files import is_there

_log = logging.getLogger(__name__)

VECTORS_FILE = "vectors.sqlite"
"""In the checkpoint folder."""
_TABLE = "CREATE TABLE vectors (maker TEXT, content BLOB, vector BLOB, PRIMARY KEY (maker, content))"
_WAIT = 60.0
"""Seconds that one process waits for what another is writing."""
_AT_ONCE = 500
"""Vectors that one question asks for."""
_LARGEST = 1 << 30
"""Bytes of a file to which nothing is added any more: a million sentences."""


class VectorCache:
    """One SQLite file of half-precision vectors, by the identity of what made them and the hash of what they are of.

    For several threads and processes at once. It is a cache and nothing more: a file that is damaged is made again,
    and one that cannot be written is only read, each with one warning. Without a path it keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._told: set[str] = set()

    def get(self, maker: str, contents: Sequence[bytes], size: int) -> dict[bytes, NDArray[np.float16]]:
        """The vectors [size] that are known of `contents`, hashes of texts or files, as `maker` made them."""
        found: dict[bytes, NDArray[np.float16]] = {}

        def look(connection: sqlite3.Connection) -> None:
            for start in range(0, len(contents), _AT_ONCE):
                part = contents[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(part))
                question = f"SELECT content, vector FROM vectors WHERE maker = ? AND content IN ({marks})"
                for content, blob in connection.execute(question, (maker, *part)):
                    vector = _vector(blob, size)
                    if vector is not None:
                        found[content] = vector

        if self._path is not None and contents and is_there(self._path):
            self._with_file(self._path, look, making=False)
        return found

    def put(self, maker: str, vectors: Mapping[bytes, NDArray[np.float16]]) -> None:
        """Keep these in one transaction: after an interruption there are all of them or none."""
        rows = [(maker, content, vector.astype("<f2").tobytes()) for content, vector in vectors.items()]

        def add(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

        if self._path is None or not rows or "written" in self._told:
            return
        if is_there(self._path) and self._path.stat().st_size > _LARGEST:
            self._tell("written", "holds %d MiB and takes no more; delete it to begin anew", _LARGEST >> 20)
            return
        self._with_file(self._path, add, making=True)

    def _with_file(self, path: Path, work: Callable[[sqlite3.Connection], None], making: bool) -> None:
        """Have `work` done with a connection to the file; what goes wrong with the file is told, and ends there."""
        try:
            connection = self._connected(path, making)
            try:
                work(connection)
            finally:
                connection.close()
        except (sqlite3.OperationalError, OSError) as error:
            what = "written" if making else "read"
            self._tell(what, "cannot be %s (%s), so vectors are computed again next time", what, error)
        except sqlite3.DatabaseError as error:
            self._tell("damaged", "damaged or not a cache of vectors (%s); it is made again", error)
            for name in (path, path.with_name(f"{path.name}-journal")):
                with suppress(OSError):  # who writes it next says what is wrong
                    name.unlink()

    def _connected(self, path: Path, making: bool) -> sqlite3.Connection:
        if making:
            path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):  # a link may lead anywhere
            raise OSError("it is no file")
        connection = sqlite3.connect(path, timeout=_WAIT)
        try:
            tables = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
            if not tables:  # another process may be about to make it: who only reads has an empty one of its own
                connection.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS" if making else "TEMP TABLE", 1))
            elif tables != [_TABLE]:
                raise sqlite3.DatabaseError("it has other tables")
        except BaseException:
            connection.close()
            raise
        return connection

    def _tell(self, what: str, sentence: str, *values: object) -> None:
        """One warning for each thing that can be wrong."""
        if what not in self._told:
            self._told.add(what)
            _log.warning(f"%s: {sentence}", self._path, *values)


def _vector(blob: object, size: int) -> NDArray[np.float16] | None:
    """None for what is no vector of that size: it is computed again."""
    if not isinstance(blob, bytes) or len(blob) != 2 * size:
        return None
    vector = np.frombuffer(blob, dtype="<f2").astype(np.float16)
    return vector if np.isfinite(vector).all() else None
