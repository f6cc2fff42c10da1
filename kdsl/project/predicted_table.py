"""Predictions as a table for people: CSV, Excel or Parquet, made of the predictions file that is kept beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsl.arbiter.stream import Mode, without_repeats
from kdsl.data.conversion.convert import Converted, predicted_items, write_items
from kdsl.data.conversion.forms import TABLES, OutputForm, form_for
from kdsl.data.sample_file import SampleFile
from kdsl.files import require_no_input
from kdsl.locks import claimed
from kdsl.project.prediction import FilePredictions, predict_file, samples_to_predict
from kdsl.project.project import Project
from kdsl.sample import Task


@dataclass(frozen=True)
class PredictedTable:
    """What predicting into a table came to, and where the predictions are that it was made of."""

    made: FilePredictions
    table: Converted
    predictions: Path


def table_form(output: Path) -> OutputForm | None:
    """The form of a table, where the ending of `output` means one."""
    return form_for(output, None) if output.suffix.lower() in TABLES else None


def predict_table(
    project: Project,
    files: Sequence[SampleFile],
    form: OutputForm,
    output: Path,
    batch: int = 256,
    mode: Mode = Mode.resume,
    tasks: Sequence[Task] | None = None,
) -> PredictedTable:
    """`predict_file` into `output` with the ending `.jsonl`, from which an interrupted run goes on; then the table."""
    require_no_input(output, (file.path for file in files), "predictions")
    form.write([])  # what it needs and is not installed is told before minutes of work
    predictions = output.with_suffix(".jsonl")
    made = predict_file(project, files, predictions, batch, mode, tasks)
    with claimed(files=[output]):
        samples = without_repeats(samples_to_predict(project, files, tasks))
        items = predicted_items(samples, project.tasks, predictions)
        return PredictedTable(made, write_items(items, form, output, predictions), predictions)
