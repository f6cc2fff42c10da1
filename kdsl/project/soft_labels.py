"""The samples of `data.distilled`, as training uses them."""

import logging

from kdsl.data.duplicates import like_labelled
from kdsl.distillation.distilled_file import read_distilled
from kdsl.fields.heard import written_down
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.soft_labels import SoftLabels
from kdsl.project.project import Project

_log = logging.getLogger(__name__)


def soft_labelled_samples(project: Project, sidecars: Sidecars) -> dict[str, SoftLabels]:
    """Task → its samples that a teacher labelled; nothing where the project has none.

    Those that are like a sample that people labelled, for training or test, are left out with a counted warning: so
    none of them is on the training side while its like is predicted. Errors are those of `read_distilled`.
    """
    path = project.config.data.distilled
    if path is None or not path.exists():
        return {}  # `kdsl distill` makes it, and needs a trained project for that
    known = project.samples("train") + (project.samples("test") if project.config.data.test is not None else [])
    found, left_out, everything = {}, 0, 0
    for task, (samples, shares) in read_distilled(path, project.tasks).items():
        of_task = [sample for sample in known if sample.task == task]
        written = written_down(samples, sidecars.transcripts), written_down(of_task, sidecars.transcripts)
        like = like_labelled(*written, project.config.data.images, project.progress)
        rows = [row for row in range(len(samples)) if row not in like]
        found[task] = SoftLabels(FieldTable([samples[row] for row in rows], sidecars), shares[rows])
        left_out, everything = left_out + len(like), everything + len(samples)
    if left_out:
        _log.warning(
            "%s: %d of %d samples are like one that people labelled and are left out", path, left_out, everything
        )
    return found
