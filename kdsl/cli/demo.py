"""kdsl demo: the demo project, unpacked and run."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import WorkersOption

_PACKED = Path(__file__).resolve().parents[1] / "demo"


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
    from kdsl.config import load_config

    overrides = arguments or []
    folder = Path("kdsl-demo")
    if overrides and "=" not in overrides[0]:
        folder, overrides = Path(overrides[0]), overrides[1:]
    load_config(_PACKED, overrides)  # a mistake is told before anything is written
    _unpack(folder)
    run([str(folder), *overrides], workers)
    name, samples = shlex.quote(str(folder)), shlex.quote(str(folder / "data" / "test.json"))
    typer.echo(f"""
Where to look next
  {folder / "rules"}: the rules as files; read, edit, accept or reject them
  {folder / "checkpoints" / "run" / "predictions.jsonl"}: a line for each test sample, with the reason
  kdsl rules list {name}
      the rules and what each is worth
  kdsl predict {name} --input {samples} --explain demo-0350
      one decision explained, with the evidence marked in the text
  kdsl init my-project
      a project of your own""")


def _unpack(folder: Path) -> None:
    """Write the files of the demo that `folder` lacks; those that are there may have been changed by a person.

    kdsl.yaml comes first, so that an unpacking that was interrupted is known as a demo. Raises KdslError for a folder
    that holds something else.
    """
    from kdsl.files import inside, write_atomically

    _check(folder)
    files = sorted(path for path in _PACKED.rglob("*") if path.is_file())
    for packed in sorted(files, key=lambda path: path.name != "kdsl.yaml"):
        name = packed.relative_to(_PACKED)
        if not (folder / name).exists():
            write_atomically(inside(folder, str(name)), packed.read_bytes())


def _check(folder: Path) -> None:
    from kdsl.config import CONFIG_NAME, load_config
    from kdsl.errors import KdslError

    if (folder / CONFIG_NAME).exists():
        if not set(load_config(folder).tasks) & set(load_config(_PACKED).tasks):
            raise KdslError(f"{folder} holds a project of its own; name another folder, or run it with `kdsl run`")
    elif folder.exists() and not folder.is_dir():
        raise KdslError(f"{folder} is a file; name a new or empty folder for the demo")
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise KdslError(f"{folder} is not empty and holds no demo; name a new or empty folder")
