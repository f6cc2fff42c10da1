"""What changed from one run to the next of the same samples, and the plot of their scores."""

import io

import pytest
from kept_runs import keep, state, task_result
from PIL import Image

from kdsl.evaluate.history import by_series, history, what_changed
from kdsl.evaluate.history_plot import history_plot
from kdsl.evaluate.runs import SampleSet

RESULT = [task_result([0, 0, 1, 1, 2, 0])]
FEEDBACK = SampleSet(kind="test", name="反馈.jsonl", hash="f")


def changed(tmp_path, **changes):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    return [str(each) for each in what_changed(keep(folder, RESULT, 1, **changes), keep(folder, RESULT))]


def test_nothing_changed_where_all_is_the_same(tmp_path):
    assert changed(tmp_path) == []


def test_keys_of_the_configuration_are_told_with_both_values(tmp_path):
    assert changed(tmp_path, config={"seed": 1, "mining.iterations": 2000}) == ["seed: 0 → 1"]
    assert changed(tmp_path, config={"seed": None, "mining.iterations": True}) == [
        "mining.iterations: 2000 → true", "seed: 0 → none",
    ]  # fmt: skip


def test_a_key_that_only_one_version_of_kdsl_knows_is_told_as_the_version(tmp_path):
    found = changed(tmp_path, config={"seed": 0, "new.key": 1}, versions={"kdsl": "0.4.0"})
    assert found == ["kdsl: 0.3.0 → 0.4.0"]


def test_files_are_told_by_their_content(tmp_path):
    found = changed(tmp_path, files={"data.train": "x", "data.ocr": "y"})
    assert found == ["data.ocr: added", "data.train: other content", "tasks: gone"]


def test_rules_are_told_by_what_was_done_to_them(tmp_path):
    old = keep(tmp_path, RESULT, state=state(a="proposed", b="proposed", c="accepted"))
    new = keep(tmp_path, RESULT, 1, state=state("t1", a="accepted", b="accepted"))
    assert [str(each) for each in what_changed(new, old)] == ["rules: 2 accepted", "rules: 1 removed",
                                                              "shop: trained again"]  # fmt: skip


def test_other_samples_are_told(tmp_path):
    same = SampleSet(kind="test", name="test.jsonl", hash="h1")
    assert changed(tmp_path, samples=same) == ["samples: other content"]
    assert changed(tmp_path, samples=FEEDBACK) == ["samples: test.jsonl → 反馈.jsonl"]


def test_a_run_stands_beside_the_one_before_it_of_the_same_samples(tmp_path):
    runs = [keep(tmp_path, RESULT, 0), keep(tmp_path, RESULT, 1, samples=FEEDBACK),
            keep(tmp_path, RESULT, 2, config={"seed": 1, "mining.iterations": 2000})]  # fmt: skip
    rows = history(runs)
    assert [row.changed and [str(each) for each in row.changed] for row in rows] == [None, None, ["seed: 0 → 1"]]
    assert [[row.run.id for row in series] for series in by_series(rows)] == [["000000", "000002"], ["000001"]]
    record = rows[2].record()
    assert record["changed"] == [{"what": "seed", "how": "0 → 1", "count": None}]
    assert record["scores"][0]["both"]["accuracy"]["value"] == pytest.approx(5 / 6)


def test_cross_validations_of_other_folds_are_another_series(tmp_path):
    sets = [SampleSet(kind="cross-validation", name="train.jsonl", hash="h", folds=folds) for folds in (3, 5)]
    rows = history([keep(tmp_path, RESULT, number, samples=each) for number, each in enumerate(sets)])
    assert [len(series) for series in by_series(rows)] == [1, 1]
    assert str(sets[1]) == "train.jsonl, 5 folds"


def test_the_plot_has_a_panel_for_each_set_of_samples_up_to_a_dozen(tmp_path):
    def height(sets):
        runs = [keep(tmp_path / str(sets), RESULT, n, samples=SampleSet(kind="test", name=f"t{n % sets}", hash="h"))
                for n in range(2 * sets)]  # fmt: skip
        return Image.open(io.BytesIO(history_plot(by_series(history(runs))))).height

    one, two, many = height(1), height(2), height(20)
    assert one < two < many < 13 * one
    with pytest.raises(ValueError, match="no run to draw"):
        history_plot([])
