"""docs/several_labels.md: its task and data are read, and its code prints what the page says."""

import contextlib
import io
import json
import re
from pathlib import Path

from kdsl.data.readers import read_samples
from kdsl.tasks import load_task

PAGE = (Path(__file__).parents[1] / "docs" / "several_labels.md").read_text(encoding="utf-8")


def block(language: str, after: str = "") -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE[PAGE.index(after) :], re.DOTALL)
    assert found is not None
    return found[1]


def test_the_task_and_the_samples_of_the_page_are_read(write):
    task = load_task(write("topics.yaml", block("yaml")))
    samples = read_samples(write("train.jsonl", block("json")), [task])
    assert task.multi
    assert [sample.labels for sample in samples] == [("退款", "质量"), ("物流",), (), None]


def test_the_code_of_the_page_prints_what_the_page_says():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block("python"), "page", "exec"), {"__name__": "page"})
    assert printed.getvalue() == block("text", "```python")


def test_the_record_of_the_page_has_the_keys_of_a_decision():
    from several_labels_world import LABELS

    from kdsl.arbiter.multi_label_decision import LabelDecision, MultiLabelDecision
    from kdsl.sample import Sample

    label = LabelDecision(LABELS[0], 0.8, 0.4, 0.2, 0.4, (), "all")
    made = MultiLabelDecision(Sample("1", "topics"), LABELS[:1], (label,), ()).record()
    shown = json.loads(block("json", "## The record"))
    assert list(shown) == list(made)
    assert list(shown["decision"]) == list(made["decision"]) and list(shown["model"]) == list(made["model"])
    assert list(next(iter(shown["decisions"].values()))) == list(label.record())
