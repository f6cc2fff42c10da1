"""What commands share that ask a model behind a server."""

from collections.abc import Sequence
from typing import Annotated

import typer

Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that a server may take for an answer.")]
Retries = Annotated[int, typer.Option("--retries", min=0, help="How often a failed request is made again.")]


def first_failures(failed: Sequence[tuple[str, str]], of: int) -> list[str]:
    """What to tell of samples without an answer: how many, and the first of each reason."""
    first: dict[str, str] = {}
    for identity, reason in failed:
        first.setdefault(reason, identity)
    if not failed:
        return []
    lines = [f"{len(failed)} of {of} samples have no answer; the same command asks them again:"]
    return lines + [f"  {identity}: {reason}" for reason, identity in list(first.items())[:3]]
