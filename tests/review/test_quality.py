"""The dashboard's figure: cross-validated F1 of what is accepted so far, measured as `kdsl train` fits the arbiter."""

import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from reviewed_shop import ORIGIN
from shop_on_disk import LABELS, TASK, write_samples, write_shop

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.arbiter.arbiter import Arbiter
from kdsl.errors import KdslError
from kdsl.project.mining import mine
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.training import train_project
from kdsl.review.app import create_app
from kdsl.review.decisions import decide
from kdsl.review.live import LiveSite, open_live
from kdsl.review.quality import QUALITY_FILE, measure, measurements
from kdsl.review.site import Site

WORDS = {"调光": ("亮度", "变暗"), "材质": ("棉麻", "面料")}
FILLER = "春夏秋冬东南西北金木水火山石田土日月星云风雨"


@pytest.fixture(scope="module")
def mined(tmp_path_factory) -> Path:
    """Forty dialogues whose words tell the label nine times of ten, mined."""
    folder = tmp_path_factory.mktemp("mined") / "shop"
    write_shop(folder)
    source = random.Random(0)
    dialogues = []
    for i in range(40):
        said = LABELS[i % 2] if source.random() < 0.9 else source.choice(LABELS)
        dialogues.append(("".join(source.choices(FILLER, k=40)) + source.choice(WORDS[said]), LABELS[i % 2]))
    write_samples(folder, dialogues)
    project = Project.open(folder, ["mining.iterations=60"])
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    return folder


@pytest.fixture
def folder(mined, tmp_path) -> Path:
    return Path(shutil.copytree(mined, tmp_path / "shop"))


@pytest.fixture
def live(folder) -> LiveSite:
    live = open_live(Project.open(folder), "小王")
    live.ask_model()
    return live


@pytest.fixture
def site(live) -> Site:
    return live.site


def decide_all(site: Site, status: str) -> None:
    for stored in site.store.rules(TASK):
        decide(site.store, "小王", TASK, stored.rule.id, stored.version, status)


def test_with_all_active_rules_it_is_what_training_prints(folder, site):
    measured = measure(site, TASK)
    train_project(Project.open(folder))
    arbiter = Arbiter.load(folder / "checkpoint" / TASK)
    assert (measured.model, measured.active) == (arbiter.model.weighted_f1, arbiter.both.weighted_f1)


def test_what_learns_changed_copies_speaks_as_training_left_it(folder):
    copies = ["augment.copies=2"]
    live = open_live(Project.open(folder, copies), "小王")
    live.ask_model()
    before = live.site.indexes[TASK].predictions
    assert before is not None and before.known.all()  # without copies, as long as nothing was trained
    train_project(Project.open(folder, copies))
    live.ask_model()
    predictions, arbiter = live.site.indexes[TASK].predictions, Arbiter.load(folder / "checkpoint" / TASK)
    assert predictions.known.all() and (predictions.probabilities != before.probabilities).any()
    measured = measure(live.site, TASK)
    assert (measured.model, measured.active) == (arbiter.model.weighted_f1, arbiter.both.weighted_f1)


def test_before_anything_is_accepted_that_is_the_model_alone(site):
    measured = measure(site, TASK)
    assert measured.accepted_rules == 0 and measured.accepted == measured.model
    assert all(0 <= figure <= 1 for figure in (measured.model, measured.accepted, measured.active))


def test_good_rules_raise_the_figure_over_that_of_a_model_that_knows_nothing(site):
    index = site.indexes[TASK]
    index.predictions = replace(index.predictions, probabilities=index.predictions.probabilities * 0 + 0.5)
    decide_all(site, "accepted")
    measured = measure(site, TASK)
    assert measured.accepted_rules == len(site.store.rules(TASK))
    assert measured.accepted > measured.model + 0.2


def test_one_accepted_rule_brings_less_than_all(site):
    index = site.indexes[TASK]
    index.predictions = replace(index.predictions, probabilities=index.predictions.probabilities * 0 + 0.5)
    first = site.store.rules(TASK)[0]
    decide(site.store, "小王", TASK, first.rule.id, first.version, "accepted")
    one = measure(site, TASK)
    decide_all(site, "accepted")
    everything = measure(site, TASK)
    assert one.model < one.accepted < everything.accepted == pytest.approx(everything.active, abs=0.1)


def test_rejected_rules_do_not_count_as_accepted(site):
    decide_all(site, "rejected")
    measured = measure(site, TASK)
    assert measured.accepted == measured.model


def test_measurements_are_kept_in_the_checkpoint_in_their_order(folder, site):
    first, second = measure(site, TASK), measure(site, TASK)
    assert measurements(folder / "checkpoint", TASK) == [first, second]
    assert measurements(folder / "checkpoint", "other") == []


def test_without_mining_it_says_what_to_do(folder, site):
    (folder / "checkpoint" / TASK / "mining.json").unlink()
    with pytest.raises(KdslError, match=r"mining\.json: no such file; call project\.mine\(\) first"):
        measure(site, TASK)


def test_other_samples_than_those_mined_on_are_told(folder, live):
    write_samples(folder, [("亮度", "调光"), ("面料", "材质"), ("棉麻", "材质")])
    live.refresh()
    live.ask_model()
    with pytest.raises(KdslError, match="not those that rules were mined on"):
        measure(live.site, TASK)


def test_a_sample_without_a_label_is_named(folder, live):
    write_samples(folder, [("亮度", "调光"), ("面料", "材质"), ("棉麻", "没有的标签")])
    live.refresh()
    live.ask_model()
    with pytest.raises(KdslError, match="sample 's2' has the label '没有的标签'"):
        measure(live.site, TASK)


def test_without_the_models_word_it_says_why(folder):
    site = open_live(Project.open(folder), "小王").site
    with pytest.raises(KdslError, match="not known yet; try again in a moment"):
        measure(site, TASK)


def wait_for(client: TestClient) -> str:
    begun = time.monotonic()
    page = client.post(f"/t/{TASK}/measure", data={}).text
    while "being measured" in page and time.monotonic() < begun + 60:
        time.sleep(0.05)
        page = client.get(f"/t/{TASK}/progress").text
    return page


def test_the_dashboard_measures_and_shows_figures_and_problems(folder, live):
    client = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)
    page = wait_for(client)
    [measured] = measurements(folder / "checkpoint", TASK)
    assert f"{measured.model:.3f}" in page and f"{measured.active:.3f}" in page
    (folder / "checkpoint" / TASK / QUALITY_FILE).write_text('{"at": 1}\n', encoding="utf-8")
    page = client.get(f"/t/{TASK}/progress")
    assert page.status_code == 200
    assert "not a measurement: at: Input should be a valid string; delete the file to begin anew" in page.text
    (folder / "checkpoint" / TASK / "mining.json").unlink()
    assert "run `kdsl mine` first" in wait_for(client)
