import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from kdsl.errors import KdslError
from kdsl.evaluate import folder, plots
from kdsl.evaluate.folder import write_evaluation
from kdsl.evaluate.metrics import NO_PREDICTION, Outcome, confusion
from kdsl.evaluate.plots import confusion_plot, reliability_plot
from kdsl.evaluate.report import TaskResult, summarise
from kdsl.fonts import font_families

LABELS = ("能否调光", "商品材质", "其他")
BLUE, ORANGE = (127, 181, 221), (240, 168, 115)


def outcome(abstain=False, probabilities=True):
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 80)
    chances = generator.dirichlet(np.ones(3), 80)
    predicted = np.where(generator.random(80) < 0.6, truth, chances.argmax(axis=1))
    if abstain:
        predicted[::4] = NO_PREDICTION
    return Outcome(truth, predicted, chances if probabilities else None)


def image(png):
    return Image.open(io.BytesIO(png)).convert("RGB")


def share(png, colour):
    """The share of the pixels that have this colour, give or take rounding."""
    return float((np.abs(np.asarray(image(png)).astype(int) - colour).max(axis=2) <= 2).mean())


def test_right_cells_are_blue_and_wrong_ones_orange():
    right = confusion_plot(np.array([[5, 0, 0], [0, 5, 0]]), ["a", "b"], "title")
    assert share(right, BLUE) > 0.1 > 0.001 > share(right, ORANGE)
    wrong = confusion_plot(np.array([[0, 5, 0], [5, 0, 0]]), ["a", "b"], "title")
    assert share(wrong, ORANGE) > 0.1 > 0.001 > share(wrong, BLUE)


def test_a_column_for_abstentions_appears_only_when_there_are_any():
    labels = [f"label {i}" for i in range(12)]
    counts = np.eye(12, 13, dtype=np.int64)
    without = image(confusion_plot(counts, labels, "t")).size
    counts[0, -1] = 1
    assert image(confusion_plot(counts, labels, "t")).size[0] > without[0]


@pytest.mark.parametrize("n_labels", [1, 2, 23, 60])
def test_any_number_of_labels_is_drawn_at_a_size_that_opens(n_labels):
    counts = np.eye(n_labels, n_labels + 1, dtype=np.int64)
    plot = image(confusion_plot(counts, [f"标签{i}" for i in range(n_labels)], "t"))
    assert min(plot.size) > 150
    assert max(plot.size) < 6000


def test_a_reliability_diagram_has_a_panel_for_every_outcome_with_confidences():
    two = image(reliability_plot([("model alone", outcome()), ("both", outcome())], "t")).size
    one = image(reliability_plot([("model alone", outcome(probabilities=False)), ("both", outcome())], "t")).size
    assert two[0] > 1.5 * one[0]
    assert two[1] == one[1]
    with pytest.raises(ValueError, match="no outcome has confidences"):
        reliability_plot([("model alone", outcome(probabilities=False))], "t")


def test_the_same_result_gives_the_same_bytes():
    assert reliability_plot([("both", outcome())], "t") == reliability_plot([("both", outcome())], "t")


def test_a_font_is_found_for_latin_and_none_for_unassigned_characters():
    assert font_families("true label 7") == ["DejaVu Sans"]
    assert font_families("\U0003fffe") is None


def evaluation(folder, **arguments):
    results = [TaskResult("意图/a", LABELS, tuple(map(str, range(80))), outcome(**arguments),
                          outcome(abstain=True, probabilities=False), outcome(**arguments))]  # fmt: skip
    summary = summarise(results, seed=0)
    write_evaluation(folder, results, summary)
    return results, summary


def test_the_folder_holds_report_tables_and_plots(tmp_path):
    results, summary = evaluation(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()} - {"confusion-意图_a.txt"}
    assert names == {
        "report.json",
        "labels.csv",
        "confusion-意图_a.csv",
        "confusion-意图_a.png",
        "reliability-意图_a.png",
        "coverage-意图_a.json",
        "coverage-意图_a.png",
    }
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report == json.loads(json.dumps(summary.record()))
    with (tmp_path / "out" / "confusion-意图_a.csv").open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == [*LABELS, "(none)"]
    assert [row[0] for row in rows] == list(LABELS)
    assert [[int(cell) for cell in row[1:]] for row in rows] == confusion(results[0].both, 3).tolist()
    with (tmp_path / "out" / "labels.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["label"] for row in table] == list(LABELS)
    assert [float(row["f1"]) for row in table] == pytest.approx(
        [row.both.f1 for row in summary.tasks[0].labels], abs=1e-6
    )


def test_without_confidences_there_is_no_reliability_diagram(tmp_path):
    evaluation(tmp_path, probabilities=False)
    assert not list(tmp_path.glob("reliability-*"))


def test_without_a_font_classes_are_numbered_and_the_numbers_explained(tmp_path, monkeypatch):
    counts = np.eye(3, 4, dtype=np.int64)
    with_names = image(confusion_plot(counts, ["a long name of a class"] * 3, "t"))
    monkeypatch.setattr(plots, "font_families", lambda text: None)
    monkeypatch.setattr(folder, "font_families", lambda text: None)
    assert image(confusion_plot(counts, ["a long name of a class"] * 3, "t")).width < with_names.width
    evaluation(tmp_path)
    legend = (tmp_path / "confusion-意图_a.txt").read_text(encoding="utf-8")
    assert legend == "1\t能否调光\n2\t商品材质\n3\t其他\n"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KdslError, match="cannot be written"):
        evaluation(tmp_path / "file")


def test_dollar_signs_in_names_are_no_formula():
    counts = np.array([[1, 0, 0], [0, 1, 0]])
    assert confusion_plot(counts, ["$\\frac{$", "b"], "$\\frac{$").startswith(b"\x89PNG")
