"""A claim on a place that has no locks, such as a bucket: an object that says who works there, renewed while they do.

Whoever finds one that was renewed lately leaves the place alone. After a crash it stands until it is old. Two that
come within the same moment both write; the one whose object is there a little later has it.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError

FILE = "_running.json"
RENEWED, OLD = 20.0, 120.0
"""Seconds between two renewals, and after which nobody is there any more."""
SETTLED = 1.0
"""Seconds after which an object that was written at the same time would be seen."""


@contextmanager
def leased(storage: Storage) -> Iterator[Callable[[], None]]:
    """Nobody else who asks has the place meanwhile. Raises KdslError, naming who has it, and since when.

    Gives what raises KdslError once another one has it: this one was not heard of for too long.
    """
    own = uuid.uuid4().hex
    _require_free(storage, own)
    ended = threading.Event()
    lost: list[KdslError] = []

    def renew() -> None:
        while not ended.wait(RENEWED):
            try:
                _require_free(storage, own)
                _renew(storage, own)
            except KdslError as error:
                if isinstance(error, _Taken):
                    lost.append(error)
                    return  # else the store is not to be reached just now: it is tried again

    def require_held() -> None:
        if lost:
            raise lost[0]

    renewing = threading.Thread(target=renew, daemon=True)
    try:
        _renew(storage, own)
        time.sleep(SETTLED)
        _require_free(storage, own)
        renewing.start()
        yield require_held
    finally:
        ended.set()
        if renewing.ident is not None:
            renewing.join()
        note = _note(storage)
        if note is not None and note.get("run") == own:
            storage.remove(FILE)


class _Taken(KdslError):
    """Another run has the place."""


def _renew(storage: Storage, own: str) -> None:
    note = {"run": own, "host": os.uname().nodename, "process": os.getpid(), "at": time.time()}
    storage.write(FILE, json.dumps(note).encode())


def _note(storage: Storage) -> dict[str, Any] | None:
    """What the last one wrote; None for nothing that anybody at work has written."""
    if not storage.exists(FILE):
        return None
    try:
        note = json.loads(storage.read(FILE))
    except ValueError:
        return None
    return note if isinstance(note, dict) else None


def _require_free(storage: Storage, own: str) -> None:
    note = _note(storage)
    try:
        if note is None or note["run"] == own:
            return
        who, age = f"process {note['process']} on {note['host']}", time.time() - float(note["at"])
    except (ValueError, KeyError, TypeError):
        return
    if age <= OLD:
        raise _Taken(
            f"{storage.address}: another run writes there ({who}, {age:.0f} seconds ago); wait until it has ended, "
            f"or {OLD:.0f} seconds after it was killed, and run again"
        )
