"""Tests that start Ray do so one after the other: two heads on one machine get in each other's way."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENT = {"RAY_RAYLET_START_WAIT_TIME_S": "180", "RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Of Ray: other programs may keep the cores busy, and its processes let all of them go first."""


@contextmanager
def alone_with_ray() -> Iterator[None]:
    """Waits until no other process of tests on this machine is within this."""
    with (Path(tempfile.gettempdir()) / "kdsl-tests-ray.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
