"""The samples of a project that nobody has labelled: they show what rules and classifier do on data as it comes."""

from dataclasses import replace

from kdsl.data.duplicates import dialogue_words
from kdsl.fields.heard import written_down
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.files import stamp_of
from kdsl.project.project import Project
from kdsl.sample import Sample, Task

MOST_UNLABELLED = 5000
"""More of them say nothing new."""


def unlabelled_table(project: Project, task: Task) -> FieldTable:
    """At most `MOST_UNLABELLED` samples of a task, from all parts of the files; no row where there are none.

    These are the samples of data.unlabelled, whatever labels that file gives, and those of data.train without a label,
    but for what says and shows the same as a labelled sample of data.train. Their label is None. They are read once,
    until a file changes. Raises KdslError for a file that cannot be read.
    """
    data, sidecars = project.config.data, project.learned_sidecars()
    # Who predicts by rules before there is a training sample may have unlabelled ones.
    known = project.samples_so_far()
    stamp = None if data.unlabelled is None else stamp_of(data.unlabelled)
    return project.kept.made(
        ("unlabelled", task.name, data.unlabelled),
        (stamp, known, sidecars),
        lambda: FieldTable(_unlabelled(project, task, known, sidecars), sidecars),
    )


def _unlabelled(project: Project, task: Task, known: list[Sample], sidecars: Sidecars) -> list[Sample]:
    unlabelled = project.config.data.unlabelled
    of_task = [sample for sample in known if sample.task == task.name]
    found = [sample for sample in of_task if sample.answer is None]
    if unlabelled is not None:
        labelled = {_content(sample, sidecars) for sample in of_task if sample.answer is not None}
        found += [
            replace(sample, label=None, labels=None)
            for sample in project.iterate_samples(unlabelled)
            if sample.task == task.name and _content(sample, sidecars) not in labelled
        ]
    step = -(-len(found) // MOST_UNLABELLED)
    return found[:: max(step, 1)]


def _content(sample: Sample, sidecars: Sidecars) -> tuple[str, tuple[str, ...]]:
    [written] = written_down([sample], sidecars.transcripts)
    return dialogue_words(written), (*written.images, *written.audio)
