"""The predictions of `large: recorded:FILE` and the samples they are for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.data.sample_file import SampleFile
from kdsl.errors import KdslError
from kdsl.project.project import Project

if TYPE_CHECKING:
    from kdsl.models.by_order import Orders
    from kdsl.models.large.export_record import ExportRecord
    from kdsl.sample import SampleKey


def data_orders(project: Project, inputs: Sequence[SampleFile] = ()) -> "Orders":
    """The samples of the project's data files and of `inputs`, if the recorded predictions are told apart by order.

    In the folder of an export (`kdsl convert`), these are the samples that it asks about, in its order.

    Others are told apart by ids: raises KdslError where two of the files have different samples of one id, since
    nobody can know which of them an answer is to.
    """
    from kdsl.models.by_order import has_no_ids
    from kdsl.models.large.export_record import ExportRecord

    config = project.config
    if config.recorded is None:
        return ()
    paths = [path for path in (config.data.train, config.data.test) if path is not None and path.exists()]
    known_paths = [path.resolve() for path in paths]
    files = [*map(SampleFile, paths), *(file for file in inputs if file.path.resolve() not in known_paths)]
    orders = [list(project.samples_of(file)) for file in files]
    if has_no_ids(config.recorded):
        exported = ExportRecord.near([config.recorded.parent, config.recorded.parent.parent])
        return orders if exported is None else _exported_orders(config.recorded, exported, orders)
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


def _exported_orders(path: Path, exported: "ExportRecord", files: "Orders") -> "Orders":
    """All samples that an export asks about, those that it holds out, and the test samples."""
    known = {(sample.task, sample.fingerprint): sample for samples in files for sample in samples}
    orders = []
    for part in (exported.asked, exported.held_out, exported.test):
        lost = next((each for each in part if (each.task, each.fingerprint) not in known), None)
        if lost is not None:
            raise KdslError(
                f"{path}: sample {lost.id!r} was exported, but the data files have none like it now; set them back, "
                "or export and predict again"
            )
        orders.append([known[each.task, each.fingerprint] for each in part])
    return [each for each in orders if each]
