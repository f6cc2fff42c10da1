"""The small project in files, as a service leaves it: with a log of its decisions, and feedback to them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from made_decisions import TEXT
from shop_on_disk import TASK, write_rule, write_shop

from kdsl.data.feedback import FeedbackEvent, FeedbackLog
from kdsl.project.decision_log import DecisionLog
from kdsl.sample import Label, Sample, Task, Turn

LABELS = ("调光", "材质")
VERSIONS = {"rules": "a", "checkpoint": "b", "config": "c"}
LOG, FEEDBACK = "decisions", "feedback.jsonl"


def write_served_shop(folder: Path) -> None:
    """Of rules the service uses r-lamp and r-linen, which hold on `TEXT`."""
    write_shop(folder)
    write_rule(folder, "r-lamp", "调光", "user", "亮度能调")
    write_rule(folder, "r-linen", "材质", "user", "棉麻的？")


def log(folder: Path, *decisions, at: datetime | None = None, texts: bool = False) -> None:
    """Log what was decided at some time, now by default."""
    with DecisionLog(folder / LOG, texts, now=lambda: at or datetime.now(UTC)) as decision_log:
        decision_log.append(decisions, VERSIONS)


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def asked(id: str, text: str = TEXT) -> Sample:
    return Sample(id, TASK, (Turn("user", text),))


def say(
    folder: Path, id: str, label: str, by: str = "小王", predicted: str | None = "调光",
    rules: Sequence[str] = ("r-lamp",), text: str = TEXT,
) -> FeedbackEvent:  # fmt: skip
    """Give feedback about a sample that the service decided."""
    task = Task(TASK, tuple(map(Label, LABELS)))
    return FeedbackLog(folder / FEEDBACK).give(asked(id, text), label, by, task, predicted, rules)
