"""The pairs of labels that are confused most, and the plot of a matrix that is too large to be read."""

import io

import numpy as np
import pytest
from PIL import Image

from kdsl.evaluate import plots
from kdsl.evaluate.confused import confused_pairs
from kdsl.evaluate.folder import write_evaluation
from kdsl.evaluate.metrics import Outcome
from kdsl.evaluate.plots import confusion_plot, is_named
from kdsl.evaluate.report import TaskResult, summarise


def test_pairs_come_by_count_then_by_share_of_the_true_label():
    counts = np.array([[5, 2, 0, 1], [3, 9, 0, 0], [2, 0, 1, 2]])
    assert [(pair.truth, pair.predicted, pair.count) for pair in confused_pairs(counts)] == [
        (1, 0, 3), (2, 0, 2), (2, 3, 2), (0, 1, 2), (0, 3, 1),
    ]  # fmt: skip
    first = confused_pairs(counts)[0]
    assert first.share == pytest.approx(3 / 12)
    assert first.names(("a", "b", "c")) == ("b", "a")
    assert confused_pairs(counts)[2].names(("a", "b", "c")) == ("c", "(none)")
    assert confused_pairs(np.eye(3, 4, dtype=np.int64)) == []


def drawn(n_labels, monkeypatch):
    """The plot of so many labels, and the texts in it."""
    texts = []
    png = plots.png

    def spy(figure):
        [axes] = figure.axes
        texts.extend(text.get_text() for text in [*axes.texts, *axes.get_yticklabels(), *axes.get_xticklabels()])
        return png(figure)

    monkeypatch.setattr(plots, "png", spy)
    counts = 9 * np.eye(n_labels, n_labels + 1, dtype=np.int64)
    counts[1, 0], counts[0, -1] = 4, 2
    plot = confusion_plot(counts, [f"label {i}" for i in range(1, n_labels + 1)], "t")
    return Image.open(io.BytesIO(plot)), texts


def test_a_small_matrix_has_all_names_and_counts_and_no_list(monkeypatch):
    _, texts = drawn(23, monkeypatch)
    assert "label 23  23" in texts and texts.count("9") == 23 + 1 and "samples" not in texts


def test_a_middle_one_has_the_list_of_pairs_too(monkeypatch):
    _, texts = drawn(77, monkeypatch)
    assert "label 77  77" in texts and texts.count("9") == 77 + 1
    assert [text for text in texts if "%" in text] == ["4 (31%)", "2 (18%)"]


def test_a_large_one_numbers_every_tenth_label_and_names_those_that_are_confused(monkeypatch):
    plot, texts = drawn(150, monkeypatch)
    assert max(plot.size) < 3000
    assert "9" not in texts and "label 10  10" not in texts
    assert {"2  label 2", "1  label 1", "4 (31%)", "(none)", "none"} <= set(texts)
    assert "140" in texts and texts.count("150") == 1  # below, no prediction stands in its place


def test_labels_that_are_too_many_are_told_in_a_file_and_said(tmp_path, caplog):
    labels = tuple(f"label {i}" for i in range(1, 151))
    assert not is_named(labels) and is_named(labels[:85])
    truth = np.arange(150)
    outcome = Outcome(truth, np.roll(truth, 1))
    result = TaskResult("t", labels, tuple(map(str, range(150))), outcome, outcome, outcome)
    write_evaluation(tmp_path, [result], summarise([result], seed=0))
    assert (tmp_path / "confusion-t.txt").read_text("utf-8").splitlines()[149] == "150\tlabel 150"
    assert "150 labels are too many to be named; confusion-t.txt tells which number is which" in caplog.text
