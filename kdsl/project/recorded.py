"""The predictions of `large: recorded:FILE` and the samples they are for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.data.sample_file import SampleFile
from kdsl.errors import KdslError
from kdsl.project.project import Project

if TYPE_CHECKING:
    from kdsl.models.llama_factory import Orders
    from kdsl.sample import SampleKey


def data_orders(project: Project, inputs: Sequence[SampleFile] = ()) -> "Orders":
    """The samples of the project's data files and of `inputs`, if the recorded predictions are told apart by order.

    Others are told apart by ids: raises KdslError where two of the files have different samples of one id, since
    nobody can know which of them an answer is to.
    """
    from kdsl.models.llama_factory import is_llama_factory

    config = project.config
    if config.recorded is None:
        return ()
    paths = [path for path in (config.data.train, config.data.test) if path is not None and path.exists()]
    known_paths = [path.resolve() for path in paths]
    files = [*map(SampleFile, paths), *(file for file in inputs if file.path.resolve() not in known_paths)]
    orders = [list(project.samples_of(file)) for file in files]
    if is_llama_factory(config.recorded):
        return orders
    known: dict[SampleKey, tuple[str, Path]] = {}
    for file, samples in zip(files, orders, strict=True):
        for sample in samples:
            fingerprint, place = known.setdefault(sample.key, (sample.fingerprint, file.path))
            if fingerprint != sample.fingerprint and place != file.path:
                raise KdslError(
                    f"{file.path}: sample {sample.id!r} is another one than that of this id in {place}, so that "
                    f"nobody can know which one {config.recorded} answers; give the samples of both files different "
                    "ids"
                )
    return ()
