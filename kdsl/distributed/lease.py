"""A claim on a place that has no locks, such as a bucket: an object that says who works there, renewed while they do.

Whoever finds one that was renewed lately leaves the place alone. After a crash it stands until it is old. Two that
come within the same moment both write; the one whose object is there a little later has it.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError

FILE = "_running.json"
RENEWED, OLD = 20.0, 120.0
"""Seconds between two renewals, and after which nobody is there any more."""
SETTLED = 1.0
"""Seconds after which an object that was written at the same time would be seen."""


@contextmanager
def leased(storage: Storage) -> Iterator[None]:
    """Nobody else who asks has the place meanwhile. Raises KdslError, naming who has it, and since when."""
    own = uuid.uuid4().hex
    _require_free(storage, own)
    _renew(storage, own)
    time.sleep(SETTLED)
    _require_free(storage, own)
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEWED):
            _renew(storage, own)

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        storage.remove(FILE)


def _renew(storage: Storage, own: str) -> None:
    note = {"run": own, "host": os.uname().nodename, "process": os.getpid(), "at": time.time()}
    storage.write(FILE, json.dumps(note).encode())


def _require_free(storage: Storage, own: str) -> None:
    if not storage.exists(FILE):
        return
    try:
        note = json.loads(storage.read(FILE))
        who, age = f"process {note['process']} on {note['host']}", time.time() - float(note["at"])
        free = note["run"] == own or age > OLD
    except (ValueError, KeyError, TypeError):  # nothing that anybody at work has written
        return
    if not free:
        raise KdslError(
            f"{storage.address}: another run writes there ({who}, {age:.0f} seconds ago); wait until it has ended, "
            f"or {OLD:.0f} seconds after it was killed, and run again"
        )
