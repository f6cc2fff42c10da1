"""kdsl demo: the demo project, unpacked and run."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import WorkersOption


def demo(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER | KEY=VALUE",
            help="Where the demo goes, ./kdsl-demo by default, and changes to its kdsl.yaml such as seed=1.",
            show_default=False,
        ),
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Unpack the demo project into a folder and run it; the same command again goes on with what is there."""
    import shlex

    from kdsl.cli.run import run
    from kdsl.project.demo import unpack_demo

    overrides = arguments or []
    folder = Path("kdsl-demo")
    if overrides and "=" not in overrides[0]:
        folder, overrides = Path(overrides[0]), overrides[1:]
    unpack_demo(folder, overrides)
    run([str(folder), *overrides], workers)
    name, samples = shlex.quote(str(folder)), shlex.quote(str(folder / "data" / "test.json"))
    typer.echo(f"""
Where to look next
  {folder / "rules"}: the rules as files; read, edit, accept or reject them
  {folder / "checkpoints" / "run" / "predictions.jsonl"}: a line for each test sample, with the reason
  kdsl rules list {name}
      the rules and what each is worth
  kdsl predict {name} --input {samples} --explain demo-0340
      one decision explained, with the evidence marked in the text
  kdsl init my-project
      a project of your own""")
