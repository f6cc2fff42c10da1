"""A command with all processes that it starts: time by the clock, processor time, and memory at its highest."""

import os
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "KDSL_BENCHMARK_PROCESSES"
"""In the environment of all of them: daemons such as those of Ray are nobody's children."""
_EVERY = 0.2
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Taken:
    """What a command took."""

    seconds: float
    """By the clock."""
    processor: float
    """Seconds of all processes; what one does between the last look and its end is missing."""
    memory: int
    """Bytes of all processes together, at the highest look; what several share counts once (PSS)."""
    output: str

    @property
    def gigabytes(self) -> float:
        return self.memory / 1e9


def measured(command: Sequence[str], log: Path) -> Taken:
    """Run a command and look at its processes; its standard output is returned, what it says of errors is in `log`.

    Raises RuntimeError where it fails, but for the exit code 1 of findings.
    """
    mark = uuid.uuid4().hex
    begun = time.monotonic()
    spent: dict[int, float] = {}
    most = 0
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=os.environ | {MARK: mark}, start_new_session=True
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        told = b""
        while True:
            ended = process.poll() is not None
            told += process.stdout.read() or b""
            if ended:
                break
            memory = 0
            for pid in _marked(mark):
                spent[pid] = max(spent.get(pid, 0.0), _processor(pid))
                memory += _memory(pid)
            most = max(most, memory)
            time.sleep(_EVERY)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}; {log} has what it said")
    return Taken(time.monotonic() - begun, sum(spent.values()), most, told.decode(errors="replace"))


def _marked(mark: str) -> list[int]:
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # of somebody else, or gone
            continue
    return found


def _processor(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
