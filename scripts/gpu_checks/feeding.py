"""How many samples the feeding side delivers on this machine's cores: whether it keeps up with the GPU."""

from gpu_checks.machine import Machine
from gpu_checks.running import Check, Outcome, Program


def check(machine: Machine) -> Check:
    return Check(
        "feeding", 1, [Program("1,300 tokens", "vlm_feed", () if machine.device == "cuda" else ("--pictures", "32"))]
    )


def verdict(outcomes: list[Outcome]) -> str | None:
    """Whether scoring waits for its pictures, in one sentence; None where either was not measured."""
    scored = _rates(outcomes, "scoring", "one pass")
    fed = _rates(outcomes, "feeding", "warm, all cores")
    if not scored or not fed:
        return None
    enough = "does not limit" if max(fed) >= max(scored) else "limits"
    return (
        f"The feeding side {enough} this machine: it delivers {max(fed):,.4g} samples/s with pictures that were seen "
        f"before, and scoring takes {max(scored):,.4g} at most."
    )


def _rates(outcomes: list[Outcome], check: str, what: str) -> list[float]:
    rows = [row for outcome in outcomes if outcome.check == check for row in outcome.rows]
    return [row["rate"] for row in rows if row["what"].startswith(what) and row["rate"] is not None]
