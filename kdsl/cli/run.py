"""kdsl run: the whole chain, each step only when something it depends on has changed."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kdsl.cli.options import ProjectArguments, WorkersOption, open_project

if TYPE_CHECKING:
    from kdsl.project.steps import Chain


def run(
    arguments: ProjectArguments = None,
    workers: WorkersOption = None,
) -> None:
    """Check, read images, mine, train and evaluate: whatever is not up to date; then print the results."""
    import os

    from kdsl.locks import claimed
    from kdsl.project.steps import Chain

    project = open_project(arguments)
    with claimed(folders=[project.config.checkpoint, project.config.rules]):
        chain = Chain(project, workers or os.cpu_count() or 1)
        chain.check()
        chain.ocr()
        chain.captions()
        chain.questions()
        chain.mine()
        chain.train()
        report = chain.evaluate()
        _print(chain, report)


def _print(chain: "Chain", report: Path) -> None:
    from kdsl.evaluate.report import Summary, print_scores
    from kdsl.record_file import read_record

    print_scores(read_record(Summary, report, "`kdsl evaluate` writes this file again"))
    for what, path in chain.places():
        typer.echo(f"{what:<12} {path}")
