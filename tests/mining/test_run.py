"""Mining a task: parallel, resumable, and clear about what cannot be mined."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import table_of

from kdsl.bitmaps import unpack
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.mining.run import mine_task, prepare, sample_weights
from kdsl.sample import Label, Sample, Task

HERE = Path(__file__).parent


class Stop(Exception):
    """Ends mining in the middle."""


def stop_after(n: int):
    calls: list[tuple[int, int]] = []

    def progress(fold: int, label: int) -> None:
        calls.append((fold, label))
        if len(calls) == n:
            raise Stop

    progress.calls = calls
    return progress


def same(a, b) -> bool:
    parts = zip(a.held_out, b.held_out, strict=True)
    return a.rules == b.rules and a.reliability == b.reliability and all(x.rules == y.rules for x, y in parts)


def test_the_number_of_processes_does_not_matter(shop, settings):
    alone = mine_task(*shop, settings, seed=0, workers=0)
    assert alone.rules
    assert same(alone, mine_task(*shop, settings, seed=0, workers=2))


def test_every_label_is_searched_on_all_samples_and_without_each_fold(shop, settings):
    calls = []
    mined = mine_task(*shop, settings, seed=0, workers=0, progress=lambda fold, label: calls.append((fold, label)))
    assert sorted(calls) == [(fold, label) for fold in (-1, 0, 1, 2) for label in (0, 1, 2)]
    for part in mined.held_out:
        assert not unpack(part.bits, len(mined.problem.folds))[:, mined.problem.folds != part.fold].any()


def test_given_folds_are_used(shop, settings):
    folds = np.arange(90) // 3 % 2
    mined = mine_task(*shop, settings, seed=0, folds=folds, workers=0)
    assert (mined.problem.folds == folds).all()
    assert [part.fold for part in mined.held_out] == [0, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_run_goes_on_and_gives_the_same_rules(shop, settings, tmp_path, workers):
    file = tmp_path / "resume.jsonl"
    with pytest.raises(Stop):
        mine_task(*shop, settings, seed=0, resume_file=file, progress=stop_after(5), workers=workers)
    done = file.read_text("utf-8").splitlines()
    assert len(done) == 1 + 5  # what is being mined, and the searches that are done
    with file.open("a") as appended:
        appended.write('{"fold": 1, "lab')  # a torn line
    progress = stop_after(-1)
    resumed = mine_task(*shop, settings, seed=0, resume_file=file, progress=progress, workers=0)
    assert [[record["fold"], record["label"]] for record in map(json.loads, done[1:])] == [
        list(job) for job in progress.calls[:5]
    ]
    assert len(progress.calls) == len(set(progress.calls)) == 12
    assert same(resumed, mine_task(*shop, settings, seed=0, workers=0))
    assert len(file.read_text("utf-8").splitlines()) == 1 + 12  # until what was mined is written somewhere


def test_searches_done_are_not_done_again(shop, settings, tmp_path, monkeypatch):
    file = tmp_path / "resume.jsonl"
    with pytest.raises(Stop):
        mine_task(*shop, settings, seed=0, resume_file=file, progress=stop_after(12), workers=0)
    monkeypatch.setattr("kdsl.mining.run.mine_label", None)  # any search would fail
    assert mine_task(*shop, settings, seed=0, resume_file=file, workers=0).rules


@pytest.mark.parametrize("content", [None, "not ours\n", '{"fingerprint": "other"}\n{"fold": 0}\n', "\ufeff\n\n"])
def test_the_searches_of_other_data_are_not_taken(shop, settings, tmp_path, content):
    file = tmp_path / "resume.jsonl"
    if content is None:
        with pytest.raises(Stop):
            mine_task(*shop, settings, seed=1, resume_file=file, progress=stop_after(3), workers=0)
    else:
        file.write_text(content)
    progress = stop_after(-1)
    mine_task(*shop, settings, seed=0, resume_file=file, progress=progress, workers=0)
    assert len(progress.calls) == 12
    assert len(file.read_text("utf-8").splitlines()) == 1 + 12


def test_weights_lead_the_search_to_where_the_classifier_errs(settings):
    task = Task("t", (Label("甲"), Label("乙")))
    texts = ["春夏秋亮度", "东南西亮度", "金木水亮度", "火山石遥控", "田土日遥控", "月星云遥控", *["风雨花草"] * 6]
    table, labels = table_of(texts), np.array([0] * 6 + [1] * 6)
    weights = np.where(np.arange(12) < 3, 0.125, 1.0)
    problem = prepare(task, table, labels, settings, seed=0, weights=weights)
    assert problem.weights.tolist() == weights.tolist()
    first = mine_task(
        task, table, labels, replace(settings, candidates=1, least_precision=0.0), 0, weights, workers=0
    ).rules[0]
    assert "遥控" in first.written(problem.vocabulary)[0].terms


def test_the_surer_the_classifier_is_of_the_label_the_less_a_sample_counts():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    sure, wrong, unsure = sample_weights(probabilities, np.array([0, 1, 1]), focus=0.25)
    assert 0 < sure == 0.75 < unsure < wrong == 1


def test_a_label_with_one_sample_is_mined(shop, settings):
    task, table, labels = shop
    labels = np.where(labels == 2, 1, labels)  # a copy
    labels[44] = 2
    mined = mine_task(task, table, labels, settings, seed=0, workers=0)
    assert {rule.label for rule in mined.rules} >= {0, 1}


def test_a_label_without_samples_is_mined(shop, settings):
    task, table, labels = shop
    mined = mine_task(replace(task, labels=(*task.labels, Label("空"))), table, labels, settings, 0, workers=0)
    assert {rule.label for rule in mined.rules} == {0, 1, 2}


def test_two_samples_are_enough_to_run(settings):
    task = Task("t", (Label("甲"), Label("乙")))
    assert mine_task(task, table_of(["亮度", "遥控"]), np.array([0, 1]), settings, 0, workers=0).rules == ()


def test_samples_without_text_give_no_rules(task, settings):
    mined = mine_task(task, table_of([""] * 8), np.array([0, 1] * 4), settings, seed=0, workers=0)
    assert mined.rules == ()
    assert mined.reliability.estimate(mined.shown).tolist() == []


def test_very_long_text_and_lone_surrogates_are_mined(task, settings):
    texts = ["\ud800亮度" + "长" * 100_000, "亮度\udfff", "亮度好", "材质", "材质吧", "材质呢"]
    mined = mine_task(task, table_of(texts), np.array([0, 0, 0, 1, 1, 1]), settings, seed=0, workers=0)
    assert "亮度" in {c.terms[0] for rule in mined.rules for c in rule.written(mined.problem.vocabulary) if c.terms}


def test_one_label_only_is_refused(task, settings):
    with pytest.raises(KdslError, match="t: mining needs samples of at least two labels, found '乙'"):
        mine_task(task, table_of(["亮度", "遥控"]), np.array([1, 1]), settings, seed=0)


def test_no_samples_are_refused(task, settings):
    with pytest.raises(KdslError, match="t: mining needs samples of at least two labels, found none"):
        mine_task(task, table_of([]), np.zeros(0, dtype=np.int64), settings, seed=0)


def test_a_sample_without_a_label_is_named(task, settings):
    table = FieldTable([Sample("a", "t", label="甲"), Sample("b", "t"), Sample("c", "t", label="丁")], _nothing())
    with pytest.raises(KdslError, match=r"t: sample 'b' \(and 1 more\) has the label None, which is none of the task"):
        mine_task(task, table, np.array([0, -1, -1]), settings, seed=0)


def _nothing():
    from kdsl.fields.sidecar import Sidecars

    return Sidecars()


KILLED = """
import os, signal, sys
from multiprocessing import active_children
import numpy as np
from planted import table_of
from kdsl.mining.miner import MiningSettings
from kdsl.mining.run import mine_task
from kdsl.sample import Label, Task

def killed(fold, label):
    print(*(child.pid for child in active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    table = table_of([f"亮度{i % 5}" if i % 2 else f"材质{i % 7}" for i in range(60)])
    task = Task("t", (Label("甲"), Label("乙")))
    mine_task(task, table, np.arange(60) % 2, MiningSettings(), 0, resume_file=__import__("pathlib").Path(sys.argv[1]),
              progress=killed, workers=2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_killing_mining_keeps_what_is_done_and_leaves_no_process_behind(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    done = subprocess.run(
        [sys.executable, tmp_path / "killed.py", tmp_path / "resume.jsonl"],
        stdout=subprocess.PIPE, text=True, env=environment, timeout=600,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    # The workers have the other end of this pipe too: that it was read to its end says that all are gone.
    assert done.stdout.split()
    assert len((tmp_path / "resume.jsonl").read_text("utf-8").splitlines()) == 2
