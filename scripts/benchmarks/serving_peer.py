"""What the peers of `scripts/bench serve` have in common: the project's predictor, as `kdsl serve` has it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.sample import Sample, Turn


def open_predictor(project: str) -> ProjectPredictor:
    opened = Project.open(Path(project))
    predictor = ProjectPredictor.open(opened)
    predictor.decide(opened.samples("test" if opened.config.data.test is not None else "train")[:64])  # warm
    return predictor


def samples_of(request: dict[str, Any]) -> list[Sample]:
    """Without any check of what stands in the request: a peer is given nothing wrong."""
    return [
        Sample(
            each["id"],
            each["task"],
            tuple(Turn(turn["role"], turn["text"], tuple(turn.get("images", ()))) for turn in each.get("turns", ())),
            tuple(each.get("images", ())),
        )
        for each in request["samples"]
    ]


def records_of(predictor: ProjectPredictor, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [decision.record() for decision in predictor.decide(samples)]
