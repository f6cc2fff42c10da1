"""All steps of a project in their order, as `kdsl run` and `Project.run` do them."""

import os
from dataclasses import dataclass
from pathlib import Path

from kdsl.evaluate.report import Summary
from kdsl.locks import claimed
from kdsl.project.project import Project
from kdsl.project.steps import Chain
from kdsl.record_file import read_record


@dataclass(frozen=True)
class ProjectRun:
    """How good the project is, and where to look next."""

    summary: Summary
    places: list[tuple[str, Path]]


def run_project(project: Project, workers: int | None = None) -> ProjectRun:
    """Check, read images, mine, train and evaluate: whatever is not up to date."""
    with claimed(folders=[project.config.checkpoint, project.config.rules]):
        chain = Chain(project, workers or os.cpu_count() or 1)
        chain.check()
        chain.ocr()
        chain.captions()
        chain.questions()
        chain.mine()
        chain.train()
        report = chain.evaluate()
        summary = read_record(Summary, report, "`kdsl evaluate` writes this file again")
        return ProjectRun(summary, chain.places())
