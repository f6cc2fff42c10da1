"""The predictions of `large: recorded:FILE` and the samples they are for."""

from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.cli.project import Project

if TYPE_CHECKING:
    from kdsl.models.llama_factory import Orders


def data_orders(project: Project, input: Path | None = None) -> "Orders":
    """The samples of the project's data files and of `input`, if the recorded predictions are told apart by order."""
    from kdsl.data.readers import read_samples
    from kdsl.models.llama_factory import is_llama_factory

    config = project.config
    if config.recorded is None or not is_llama_factory(config.recorded):
        return ()
    files = [path for path in (config.data.train, config.data.test) if path is not None]
    if input is not None and input.resolve() not in [path.resolve() for path in files]:
        files.append(input)
    return [read_samples(path, project.tasks) for path in files]
