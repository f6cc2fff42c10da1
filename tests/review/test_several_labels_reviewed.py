"""The page over a task whose samples may have several labels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from kept_runs import keep
from several_labels_world import LABELS, TASK, write_project

from kdsl.bitmaps import members
from kdsl.evaluate.multi_label import MultiOutcome
from kdsl.evaluate.report import MultiLabelResult
from kdsl.project.mining import mine_project
from kdsl.project.project import Project
from kdsl.project.training import train_project
from kdsl.review.effect import Effect
from kdsl.review.gaps import find_gaps, rows_of
from kdsl.review.live import open_live
from kdsl.review.quality import measure
from kdsl.sample import Sample

ROOT = f"/t/{TASK}"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder: Path = write_project(tmp_path_factory.mktemp("topics") / "project", train=60, noise=0.1)
    project = Project.open(folder)
    mine_project(project, workers=1)
    train_project(project)
    live = open_live(project, "小王")
    live.refresh()
    live.ask_model()
    live.prepare_refining()
    return live


@pytest.fixture(scope="module")
def client(live):
    from fastapi.testclient import TestClient

    from kdsl.review.app import create_app

    headers = {"origin": "http://testserver", "hx-request": "true"}
    return TestClient(create_app(live, ["testserver"], background=False), headers=headers)


@pytest.fixture(scope="module")
def overview(live, index):
    return live.site.overview(TASK)


@pytest.fixture(scope="module")
def index(live):
    return live.site.indexes[TASK]


def test_every_page_opens(client, overview):
    id = overview.rules[0].rule.id
    for page in ("rules", "gaps", "samples?kind=uncovered", "samples?kind=model", "progress", f"rules/{id}", "new",
                 f"rules/{id}/effect", f"rules/{id}/lint", f"rules/{id}/edit", f"rules/{id}/hits?kind=right",
                 f"rules/{id}/refine", "sample?id=1-3"):  # fmt: skip
        response = client.get(f"{ROOT}/{page}")
        assert response.status_code == 200, (page, response.text[:300])


def test_pages_that_know_one_label_say_so(client):
    assert client.get(f"{ROOT}/runs").status_code == 200
    for page in ("labels", "label"):
        assert "its samples may have several labels" in client.get(f"{ROOT}/{page}").text, page
    form = {"label": LABELS[0], "sample": "x"}
    answer = client.post(f"{ROOT}/label/give", data=form)
    assert "giving labels on the page is for tasks with one label a sample" in answer.text


def test_runs_are_compared_with_all_labels_of_a_sample(client, live):
    folder = live.site.config.folder / "runs"
    names = live.site.indexes[TASK].task.label_names
    truth = np.eye(4, len(names), dtype=bool)  # of the first four labels one each
    none, two = truth.copy(), truth.copy()
    none[0], two[1, 0] = False, True
    for number, said in enumerate((truth, none, two)):
        outcome = MultiOutcome(truth, said)
        keep(folder, [MultiLabelResult(TASK, names, tuple("abcd"), outcome, outcome, outcome)], number)
    page = client.get(f"{ROOT}/runs?new=000001&old=000000").text
    assert "wrong now" in page and "no label" in page and "micro F1" in page
    assert f"{names[0]} + {names[1]}" in client.get(f"{ROOT}/runs?new=000002&old=000000").text
    shutil.rmtree(folder)


def test_hits_are_right_by_membership(index, overview):
    for at, stored in enumerate(overview.rules):
        rows = members(overview.bits[at])
        right = [row for row in rows if stored.rule.label in (index.samples[row].labels or ())]
        assert overview.correct[at] == len(right)
    assert overview.correct.sum() > 0.9 * overview.hits.sum()
    assert not overview.conflicts.any()


def test_a_rule_is_worth_looking_at_by_what_its_label_alone_gains(overview):
    assert (overview.value >= 0).all() and overview.value.max() > 0
    assert ((overview.precision > 0) & (overview.precision < 1)).all()


def test_a_sample_shows_all_its_labels(client, index):
    sample = next(each for each in index.samples if len(each.labels or ()) > 1)
    assert sample.answer_words in client.get(f"{ROOT}/sample?id={sample.id}").text


def test_the_table_counts_a_sample_under_each_label_that_it_has(index, overview):
    gaps = find_gaps(index, overview)
    assert not gaps.contradiction.any()
    for truth, name in enumerate(LABELS):
        having = [name in (sample.labels or ()) for sample in index.samples]
        assert gaps.table[truth, truth] + gaps.table[truth, -1] == sum(having)
        for said in range(len(LABELS)):
            rows = rows_of(index, gaps, "cell", truth, said)
            assert len(rows) == gaps.table[truth, said]
            if said != truth:
                assert not any(LABELS[said] in (index.samples[row].labels or ()) for row in rows)


def test_the_model_says_every_label_that_is_likelier_than_not(index):
    predictions = index.predictions
    assert predictions.multi
    for label in range(len(LABELS)):
        assert (predictions.says(label) == (predictions.probabilities[:, label] >= 0.5)).all()
        assert (predictions.denies(label) == ~predictions.says(label)).all()


def test_the_effect_of_a_rule_is_that_its_label_holds_or_not(live, index, overview):
    arbiter, _ = live.site.arbiters[TASK]
    changed = set()
    for at, stored in enumerate(overview.rules):
        found = arbiter.effect(index, overview, at, index.predictions)
        label = LABELS.index(stored.rule.label)
        changed |= {(old, new) for _, old, new in found.changed}
        assert all((old, new) in ((-1, label), (label, -1)) for _, old, new in found.changed)
        right = sum(stored.rule.label in index.samples[row].labels for row, old, _ in found.changed if old < 0)
        wrong = sum(old < 0 for _, old, _ in found.changed) - right
        lost = len(found.changed) - right - wrong
        assert found.gains(index.samples, LABELS) >= right and found.losses(index.samples, LABELS) >= wrong
        assert found.gains(index.samples, LABELS) + found.losses(index.samples, LABELS) == right + wrong + lost
    assert changed


@pytest.mark.parametrize(
    ("said", "otherwise", "right"), [(0, -1, True), (-1, 0, False), (1, -1, False), (-1, 1, True)]
)
def test_a_decision_for_one_of_several_labels_is_right_by_itself(said, otherwise, right):
    sample = Sample("1", TASK, labels=(LABELS[0],))
    assert Effect.is_right(sample, LABELS, said, otherwise) is right


def test_a_decision_lands_in_the_rule_and_quality_is_measured(client, live, overview):
    stored = overview.rules[0]
    response = client.post(
        f"{ROOT}/rules/{stored.rule.id}/decide", data={"status": "accepted", "version": stored.version}
    )
    assert response.status_code < 400, response.text[:300]
    found = measure(live.site, TASK)
    assert 0.5 < found.model <= 1 and 0.5 < found.active <= 1
