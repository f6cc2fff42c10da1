"""Doing the steps of `kdsl run` once: a step is skipped whose inputs have not changed, nor the outputs it left."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import typer

from kdsl.errors import KdslError
from kdsl.files import file_hash, read_json, write_atomically
from kdsl.version import RESULTS_VERSION


class Steps:
    """What was done, by step, in a JSON file: hashes of inputs and outputs, and the lines that the step printed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, dict[str, object]] = _read(path)

    def do(self, name: str, inputs: Sequence[object], outputs: Iterable[Path], work: Callable[[], list[str]]) -> None:
        """Run `work` unless it was done on the same `inputs`, of stable repr; it returns the lines to print.

        Other commands write the same files: what they left there by other settings is not what the step left.
        """
        outputs = list(outputs)
        digest = hashlib.sha256(repr((RESULTS_VERSION, name, *inputs)).encode("utf-8", "surrogatepass")).hexdigest()
        known = self._done.get(name)
        fresh = (
            known is not None
            and known["inputs"] == digest
            and all(path.exists() for path in outputs)
            and known.get("outputs") == file_hash(*outputs)
        )
        if fresh and known is not None:
            lines = [str(line) for line in known["lines"]]  # type: ignore[attr-defined]  # a list, which `_read` saw to
        else:
            typer.echo(f"{name} …", err=True)
            lines = work()
            self._done[name] = {"inputs": digest, "outputs": file_hash(*outputs), "lines": lines}
            write_atomically(self._path, json.dumps(self._done, ensure_ascii=False, indent=1) + "\n")
        for line in lines:
            typer.echo(f"{name}{' (unchanged)' if fresh else ''}: {line}", err=True)


def _read(path: Path) -> dict[str, dict[str, object]]:
    """What stands in the file; nothing where it is missing or damaged, as every step can be done again."""
    try:
        value = read_json(path)
    except KdslError:
        return {}
    whole = isinstance(value, dict) and all(
        isinstance(entry, dict) and isinstance(entry.get("lines"), list) and "inputs" in entry
        for entry in value.values()
    )
    return value if whole else {}
