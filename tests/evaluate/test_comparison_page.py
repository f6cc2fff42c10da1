"""The page of two runs side by side: all that changed, without anything from elsewhere."""

import re

import pytest
from kept_runs import keep, task_result

from kdsl.errors import KdslError
from kdsl.evaluate.comparison_page import comparison_page, write_comparison
from kdsl.evaluate.runs import SampleSet
from kdsl.evaluate.side_by_side import side_by_side

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def found(tmp_path):
    old = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 0])])
    new = keep(tmp_path, [task_result([0, 1, 1, 1, 2, 2])], 1, config={"seed": 1, "mining.iterations": 2000})
    return side_by_side(new, old, seed=0)


def test_it_names_both_runs_what_changed_and_every_sample_with_both_reasons(found, tmp_path):
    page = write_comparison(tmp_path / "out", found).read_text("utf-8")
    assert "<h1>Run 000001 (2026-11-01" in page and "against 000000 (2026-11-01" in page
    assert "<li>seed: 0 → 1</li>" in page
    assert "shop: 6 samples, 1 gained and 1 lost, p = 1" in page
    assert "right to wrong (1)" in page and "wrong to right (1)" in page
    lost = re.search(r"<b>s1</b> is 调光.*?</article>", page, re.DOTALL)[0]
    assert re.search(r"was <b>调光</b> 0\.80 .*why 1.*\n<p>now <b>材质</b> 0\.80 .*why 1", lost)
    assert "<b>s0</b>" not in page


def test_nothing_is_fetched_and_no_script_runs(found):
    page = comparison_page(found)
    assert not re.search(r"https?:|src=|<script|<link|@import", page)


def test_what_samples_and_labels_are_called_is_text(tmp_path):
    old, new = (keep(tmp_path / side, [task_result([0, 0, 1, 1, 2, label], prefix=MARKUP)]) for side, label in
                (("old", 1), ("new", 2)))  # fmt: skip
    page = comparison_page(side_by_side(new, old, seed=0))
    assert MARKUP not in page and "&lt;script&gt;alert(1)&lt;/script&gt;5" in page


def test_other_samples_are_told_before_the_figures(tmp_path):
    other = SampleSet(kind="test", name="feedback.jsonl", hash="h")
    old = keep(tmp_path, [task_result([0, 0, 1], truth=[0, 0, 0])])
    new = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])], 1, samples=other)
    notes = side_by_side(new, old, seed=0).notes
    assert notes == [
        "The runs are of different samples: feedback.jsonl and test.jsonl; those that both predicted count.",
        "3 samples are only in the newer run; left out.",
        "1 sample is labelled otherwise by now; the newer label counts for both runs.",
    ]
    changed = keep(tmp_path, [task_result([0, 0, 1], truth=[0, 0, 0])], 2,
                   samples=SampleSet(kind="test", name="test.jsonl", hash="other"))  # fmt: skip
    assert side_by_side(changed, old, seed=0).notes == ["test.jsonl has other content than it had for the older run."]


def test_runs_without_a_common_sample_are_refused(tmp_path):
    old = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2], prefix="x")])
    new = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])], 1)
    with pytest.raises(KdslError, match=r"-000000: has no sample in common with .*-000001, by task and id; compare"):
        side_by_side(new, old, seed=0)


def test_a_file_of_predictions_is_judged_by_the_labels_of_the_run(tmp_path, write):
    lines = "\n".join(
        f'{{"id": "s{i}", "task": "shop", "label": "调光", "model": {{"label": "调光"}}}}' for i in range(7)
    )
    new = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])])
    found = side_by_side(new, write("p.jsonl", lines), seed=0)
    assert (found.comparison.tasks[0].gained, found.comparison.only_old, found.comparison.relabelled) == (4, 1, 0)
    assert found.record()["old"] == {"predictions": str(tmp_path / "p.jsonl")}
    with pytest.raises(KdslError, match=r"p\.jsonl, line 8: the id 's0' was predicted before"):
        side_by_side(new, write("p.jsonl", lines + "\n" + lines), seed=0)


def test_a_sample_without_a_prediction_says_so(tmp_path):
    old = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])])
    new = keep(tmp_path, [task_result([-1, 0, 1, 1, 2, 2])], 1)
    assert "now <b>(none)</b>" in comparison_page(side_by_side(new, old, seed=0))
