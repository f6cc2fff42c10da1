from dataclasses import replace

import numpy as np
import pytest

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.out_of_fold_file import OUT_OF_FOLD_FILE, load_out_of_fold, rows_of, save_out_of_fold
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("调光"), Label("材质")))
SAMPLES = [Sample(f"s{i}", "shop", (Turn("user", text),), label="调光") for i, text in enumerate("亮暗棉")]
PROBABILITIES = np.array([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]])


@pytest.fixture
def folder(tmp_path):
    table = FieldTable(SAMPLES, Sidecars())
    save_out_of_fold(tmp_path, TASK, "some/model", table, PROBABILITIES, np.array([True, True, False]))
    return tmp_path


def test_what_was_said_about_a_sample_is_found_wherever_it_stands_now(folder):
    unseen = load_out_of_fold(folder, TASK)
    assert unseen.model == "some/model"
    probabilities, known = rows_of(unseen, [SAMPLES[2], SAMPLES[1], SAMPLES[0]], 2)
    assert known.tolist() == [False, True, True]
    assert probabilities.tolist() == [[0.5, 0.5], [0.3, 0.7], [0.9, 0.1]]


def test_a_sample_with_another_text_is_another_sample_and_one_with_another_label_is_not(folder):
    changed = [replace(SAMPLES[0], turns=(Turn("user", "灯"),)), replace(SAMPLES[1], label="材质")]
    assert rows_of(load_out_of_fold(folder, TASK), changed, 2)[1].tolist() == [False, True]


def test_before_training_there_is_nothing(tmp_path):
    assert load_out_of_fold(tmp_path, TASK) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense"])
def test_a_damaged_file_is_named(folder, content):
    (folder / OUT_OF_FOLD_FILE).write_bytes(content)
    with pytest.raises(KdslError, match=r"out_of_fold\.npz: damaged or not predictions"):
        load_out_of_fold(folder, TASK)


def test_predictions_for_other_labels_are_refused(folder):
    with pytest.raises(KdslError, match="other labels than shop has now"):
        load_out_of_fold(folder, Task("shop", (Label("调光"), Label("发货"))))
