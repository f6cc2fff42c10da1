"""The predictions of `large: recorded:FILE` and the samples they are for."""

from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.project.project import Project

if TYPE_CHECKING:
    from kdsl.models.llama_factory import Orders
    from kdsl.sample import SampleKey


def data_orders(project: Project, input: Path | None = None) -> "Orders":
    """The samples of the project's data files and of `input`, if the recorded predictions are told apart by order.

    Others are told apart by ids: raises KdslError where two of the files have different samples of one id, since
    nobody can know which of them an answer is to.
    """
    from kdsl.models.llama_factory import is_llama_factory

    config = project.config
    if config.recorded is None:
        return ()
    files = [path for path in (config.data.train, config.data.test) if path is not None and path.exists()]
    if input is not None and input.resolve() not in [path.resolve() for path in files]:
        files.append(input)
    orders = [list(project.iterate_samples(path)) for path in files]
    if is_llama_factory(config.recorded):
        return orders
    known: dict[SampleKey, tuple[str, Path]] = {}
    for path, samples in zip(files, orders, strict=True):
        for sample in samples:
            fingerprint, place = known.setdefault(sample.key, (sample.fingerprint, path))
            if fingerprint != sample.fingerprint and place != path:
                raise KdslError(
                    f"{path}: sample {sample.id!r} is another one than that of this id in {place}, so that nobody can "
                    f"know which one {config.recorded} answers; give the samples of both files different ids"
                )
    return ()
