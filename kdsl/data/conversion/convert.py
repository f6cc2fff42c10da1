"""Samples of any form written in another one, and predictions written back to where the samples came from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kdsl.data.conversion.dataset_info import FILE, with_entry
from kdsl.data.conversion.forms import FORMS, OutputForm
from kdsl.data.conversion.item import Item, Predicted
from kdsl.data.conversion.records import asked
from kdsl.data.forms import AS_IT_IS, Reading
from kdsl.data.notes import Notes
from kdsl.data.readers import iterate_records
from kdsl.data.submission import Labels, PredictedLabel, read_predicted, wrong_label
from kdsl.data.writers import unknown_label
from kdsl.errors import KdslError
from kdsl.files import write_atomically
from kdsl.locks import held
from kdsl.sample import Sample, Task


@dataclass(frozen=True)
class Converted:
    """How many samples were written, and how many of them with a prediction."""

    samples: int
    predicted: int
    beside: Path | None = None
    """The file of data sets that got an entry."""


def convert_samples(
    input: Path,
    tasks: Sequence[Task],
    form: OutputForm,
    output: Path,
    predictions: Path | None = None,
    reading: Reading = AS_IT_IS,
) -> Converted:
    """Write the samples of `input` into `output`, with what `predictions` says of them.

    What the form has no place for is told in counted warnings. Raises KdslError, and writes nothing, for samples that
    cannot be read, for a label that is none of its task's (but beside predictions, where it is left alone), for
    predictions of another shape, and for a form that has no place for predictions, or for several labels a sample.
    """
    several = next((task.name for task in tasks if task.multi), None)
    if several is not None and "several" not in form.holds:
        names = ", ".join(each.name for each in FORMS if "several" in each.holds)
        raise KdslError(
            f"--format {form.name} has a place for one label a sample, and those of {several} may have several; write "
            f"{names}"
        )
    if predictions is not None and "predictions" not in form.holds:
        names = ", ".join(each.name for each in FORMS if "predictions" in each.holds)
        raise KdslError(
            f"--format {form.name} has no place for predictions; write {names}, or leave --predictions out"
        )
    found = None if predictions is None else read_predicted(predictions, tasks)
    return write_items(_read(input, tasks, reading, predictions, found), form, output, input)


def predicted_items(samples: Iterable[Sample], tasks: Sequence[Task], predictions: Path) -> Iterator[tuple[str, Item]]:
    """An item for every sample that is predicted, for `write_items`; errors of `read_predicted`."""
    by_name, found = {task.name: task for task in tasks}, read_predicted(predictions, tasks)
    for sample in samples:
        predicted = _predicted(sample, by_name[sample.task], found)
        if predicted is not None:
            item = Item(sample, by_name[sample.task], {}, Predicted.of(predicted.record))
            yield f"sample {sample.id!r}", item


def write_items(items: Iterable[tuple[str, Item]], form: OutputForm, output: Path, source: Path) -> Converted:
    """Write items, each with its place in `source`, into `output`; see `convert_samples`."""
    question = None
    if form.keeps_originals:  # what no annotation of one record tells, that of another one may
        items = list(items)
        question = next(filter(None, (asked(item.original) for _, item in items)), None)
    notes = Notes()
    written, files, predicted, first_task = [], dict[str, None](), 0, ""
    for place, item in items:
        if (why := form.left_out(item)) is not None:
            notes.note(why, place)
            continue
        for loss in form.losses(item):
            notes.note(loss, place)
        first_task = first_task or item.task.name
        if "tasks" not in form.holds and item.task.name != first_task:
            notes.note(f"samples of another task than the first, which {form.tool} does not tell apart", place)
        written.append(form.record(replace(item, asked=question)))
        files |= dict.fromkeys(["images"] if item.sample.images else [])
        files |= dict.fromkeys(["audios"] if item.sample.audio else [])
        predicted += item.predicted is not None
    if not written:
        raise KdslError(f"{source}: holds no sample that {form.tool} has a place for; choose another --format")
    data = form.write(written)
    beside = output.parent / FILE if form.listed_for_llama_factory else None
    if beside is None:
        write_atomically(output, data)
    else:
        with held(beside):
            data_sets = with_entry(beside, output, form.name, files)
            write_atomically(output, data)
            write_atomically(beside, data_sets)
    notes.tell(output)
    return Converted(len(written), predicted, beside)


def _read(
    input: Path, tasks: Sequence[Task], reading: Reading, predictions: Path | None, found: Labels | None
) -> Iterator[tuple[str, Item]]:
    by_name = {task.name: task for task in tasks}
    notes, used = Notes(), set()
    for record, sample in iterate_records(input, tasks, reading=reading):
        task = by_name[sample.task]
        for label in sample.given_labels or () if found is None else ():
            if label not in task.label_names:
                raise record.error(unknown_label(label, [task]))
        predicted = None if found is None else _predicted(sample, task, found)
        if found is not None and predicted is None:
            notes.note("samples without a prediction", record.where)
        if predicted is not None:
            used.add(predicted.place)
        yield (
            record.where,
            Item(sample, task, record.value, None if predicted is None else Predicted.of(predicted.record)),
        )
    if predictions is not None and found is not None:
        unused = [each.place for of_id in found.values() for each in of_id.values() if each.place not in used]
        if not used:
            raise KdslError(
                f"{predictions}: predicts none of the samples in {input}; give the predictions of this file"
            )
        for place in unused:
            notes.note("predictions left out, whose samples are not there", place)
        notes.tell(input)


def _predicted(sample: Sample, task: Task, found: Labels) -> PredictedLabel | None:
    of_id = found.get(sample.id, {})
    predicted = of_id.get(task.name, of_id.get(None))
    if predicted is None:
        return None
    if (problem := wrong_label(predicted.label, [task])) is not None:
        raise KdslError(f"{predicted.place}: sample {sample.id!r}: {problem}")
    return predicted
