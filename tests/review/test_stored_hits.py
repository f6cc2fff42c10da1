"""Samples on disk are those that were written, and rules hit the same of them as in memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.bitmaps import unpack
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.review import stored_hits, stored_samples
from kdsl.review.stored_hits import StoredHits, write_hits
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn

TEXT = st.text(st.sampled_from("age 5G亮度Ａ，\n。é调😀"), max_size=10)
FILES = st.lists(st.sampled_from(["a.png", "图 1.jpg"]), max_size=2).map(tuple)
TURNS = st.lists(
    st.builds(Turn, st.sampled_from(["user", "agent"]), TEXT, FILES, FILES), max_size=3
).map(tuple)  # fmt: skip
LABELS = (Label("退款"), Label("other"))
ONE, SEVERAL = Task("shop", LABELS), Task("several", LABELS, multi=True)
ANSWERS = {
    ONE: st.builds(lambda label: {"label": label}, st.sampled_from(["退款", "other", "没有的"])),
    SEVERAL: st.builds(lambda labels: {"labels": labels}, st.sampled_from([(), ("退款",), ("退款", "other")])),
}
CONDITIONS = [
    [{"dialogue": ["度"]}], [{"user": ["age"]}], [{"dialogue": ["亮度", "5g"]}, {"turns": ">1"}],
    [{"not": {"last_user": ["调"]}}], [{"image.count": "=0"}], [{"dialogue": ["没有"]}], [{"dialogue": ["😀"]}],
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def small_pieces() -> Iterator[None]:
    """So that a few samples are several of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (stored_hits, stored_samples):
            patch.setattr(module, "PIECE", 64)
        patch.setattr(stored_hits, "_WORDS", 1)
        yield


@st.composite
def samples(draw, task: Task) -> list[Sample]:
    """Of which many say the same, so that there are several pieces."""
    said = draw(st.lists(st.tuples(TURNS, ANSWERS[task], st.sampled_from([None, "0"])), min_size=1, max_size=4))
    return [
        Sample(
            f"编号 {i}", task.name, turns, ("x.png",) * (i % 2), copy_of=copy_of, audio=("y.wav",) * (i % 3), **answer
        )
        for i, (turns, answer, copy_of) in enumerate(said[k % len(said)] for k in range(draw(st.integers(1, 150))))
    ]


def stored(task: Task, given: Sequence[Sample], folder: Path, conditions: Sequence[list[dict]]) -> StoredHits:
    parsed = {str(i): [Condition.model_validate(each) for each in some] for i, some in enumerate(conditions)}
    return StoredHits(folder, task, write_hits(folder, task, iter(given), Sidecars(), parsed), Sidecars())


def rule(conditions: list[dict], when: str) -> SimpleNamespace:
    """As much as is asked of a rule in the store."""
    parsed = tuple(Condition.model_validate(each) for each in conditions)
    return SimpleNamespace(when=when, rule=Rule(id="r-0000", label="退款", when=When(all=parsed)))


@pytest.mark.parametrize("task", [ONE, SEVERAL], ids=["one label", "several labels"])
@given(data=st.data())
def test_samples_and_hits_are_those_that_were_written(task, data):
    given = data.draw(samples(task))
    with TemporaryDirectory() as folder:
        hits = stored(task, given, Path(folder), CONDITIONS[:4])
    # Its files are gone from the folder by now, and are read all the same.
    assert list(hits.samples) == given and len(hits.samples) == len(given)
    assert hits.samples[-1] == given[-1] and hits.samples[1:3] == given[1:3]
    assert [hits.place(sample.id) for sample in given] == list(range(len(given)))
    assert hits.place("编号") is None
    truth = [[label in (sample.given_labels or ()) for sample in given] for label in task.label_names]
    assert [hits.having(label).tolist() for label in range(2)] == truth
    assert not hits.having(-1).any()
    table = FieldTable(given, Sidecars())
    for number, conditions in enumerate(CONDITIONS):  # of which some were counted, and others are written later
        asked = rule(conditions, str(number))
        expected = Engine([asked.rule]).matrix(table)[:, 0].tolist()
        assert unpack(hits.bits(asked), len(given)).tolist() == expected == hits.flags(asked.rule.conditions).tolist()
        for label in range(2):
            right = int((np.array(expected, dtype=bool) & np.array(truth[label], dtype=bool)).sum())
            assert hits.counts(asked, label) == (right, sum(expected))
        assert hits.counts(asked, -1) == (0, sum(expected))


def test_what_rules_see_is_not_counted(tmp_path):
    given = [Sample("1", "shop", (Turn("user", "退款"),), label="退款")]
    written = write_hits(
        tmp_path, ONE, given, Sidecars(),
        {"seen": [Condition.model_validate({"image.kind": "photo"})],
         "read": [Condition.model_validate({"user": ["退"]})]},
    )  # fmt: skip
    assert list(written.whens) == ["read"]


def test_a_task_without_samples_or_rules(tmp_path):
    hits = stored(ONE, [], tmp_path, [])
    assert len(hits.samples) == 0 and hits.place("1") is None
    assert hits.counts(rule([{"user": ["退"]}], "new"), 0) == (0, 0)


def test_of_rules_written_since_only_some_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_hits, "_MOST_KEPT", 2)
    hits = stored(ONE, [Sample("1", "shop", (Turn("user", "亮度"),), label="退款")], tmp_path, [])
    for when in ("a", "b", "a", "c", "d"):
        assert hits.counts(rule([{"user": ["亮"]}], when), 0) == (1, 1)
    assert list(hits._later) == ["c", "d"]


def test_the_order_of_pieces_is_that_of_samples(tmp_path):
    given = [Sample(str(i), "shop", (Turn("user", f"号{i}号"),), label="退款") for i in range(150)]
    conditions = [{"user": ["号64号", "号149号"]}]
    hits = stored(ONE, given, tmp_path, [conditions])
    assert np.flatnonzero(unpack(hits.bits(rule(conditions, "0")), 150)).tolist() == [64, 149]
    assert hits.rows([149, 0]).rows[0].sample == given[149]
