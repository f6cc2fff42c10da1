"""What an interrupted training left, and whether it may go on from there."""

import json
import os
import shutil
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.files import parsing, write_atomically
from kdsl.json_file import read_json

_RUN = "run.json"
_STATE = "trainer_state.json"


def prepare_steps(folder: Path, fingerprint: str) -> None:
    """Make the folder of a training's checkpoints; those of another training are deleted. By one process alone."""
    if os.environ.get("RANK", "0") != "0":
        return
    run = {"fingerprint": fingerprint}
    try:
        same = read_json(folder / _RUN) == run
    except KdslError:
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        write_atomically(folder / _RUN, json.dumps(run) + "\n")


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end; None to begin anew."""
    found = []
    for path in folder.glob("checkpoint-*"):
        try:
            state = read_json(path / _STATE)  # the last file of a checkpoint that is written
            with parsing(path / _STATE, "not the state of a training"):
                found.append((int(state["global_step"]), str(path)))
        except KdslError:
            continue
    return max(found)[1] if found else None
