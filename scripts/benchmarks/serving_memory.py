"""What the service's memory does over many requests, for `scripts/bench serve`."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.serving_client import saturate
from benchmarks.serving_requests import Bodies
from benchmarks.serving_servers import kdsl_server

LOOKS = 10
CONNECTIONS = 32
UPLOAD_EVERY = 200
"""One request in so many brings a picture that nobody has seen, which is read (OCR) and looked at."""


def memory_over(project: Path, bodies: Bodies, requests: int) -> Iterator[tuple[str, str, str]]:
    """What was measured, the figure, and what is wanted: after each tenth of the requests, and of it all."""
    with kdsl_server(project) as server:
        asked = bodies.with_uploads(UPLOAD_EVERY)
        taken, failed, first = [server.memory() / 2**20], 0, ""
        step = max(1, requests // LOOKS)
        for look in range(1, LOOKS + 1):
            load = saturate(server.target, islice(asked, step), CONNECTIONS, settle=0.0)
            failed, first = failed + load.failed, first or load.first_failure
            taken.append(server.memory() / 2**20)
            yield f"after {look * step:,} requests", f"{taken[-1]:.0f} MiB; {step / load.seconds:,.0f}/s", ""
        said = (
            f"{taken[-1] - taken[LOOKS // 2]:+.0f} MiB in the second half, {taken[LOOKS // 2] - taken[0]:+.0f} before"
        )
        yield f"grew, from {taken[0]:.0f} MiB", said, "flat"
        yield "failed requests", f"{failed}" + (f" ({first})" if failed else ""), "0"
