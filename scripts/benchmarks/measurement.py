"""What a benchmark measured, as lines of JSON for programs such as scripts/gpu_check: `--json FILE`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measurement:
    what: str
    rate: float | None = None
    unit: str = "samples/s"
    memory: float | None = None
    """GiB at most; None where it was not measured."""
    share: float | None = None
    """Of the device's matrix peak; None where it has none."""
    note: str = ""

    def append_to(self, path: Path | None) -> None:
        """One line more, at once: whoever stops the benchmark keeps what was measured so far. None: nowhere."""
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(self), ensure_ascii=False) + "\n")
