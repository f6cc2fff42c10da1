"""The page on which people label samples: what helps most first, groups together, and among the rules in the queue."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from reviewed_shop import ORIGIN
from shop_on_disk import LABELS, TASK, write_lines, write_shop

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.project.project import Project
from kdsl.review.app import create_app
from kdsl.review.labelling import Group
from kdsl.review.live import LiveSite, open_live
from kdsl.review.model_predictions import ModelPredictions
from kdsl.review.reading import make_guide

PAGE = f"/t/{TASK}/label"
SHIPPING = "请问什么时候可以发货呢"
TEXTS = {"u0": SHIPPING, "u1": SHIPPING + "？", "u2": SHIPPING + "！", "u3": "随便看看", "u4": "亮度可调"}


def open_shop(folder: Path, by: str = "小王") -> LiveSite:
    return open_live(Project.open(folder), by)


@pytest.fixture
def shop(tmp_path: Path) -> LiveSite:
    write_shop(tmp_path)
    config = (tmp_path / "kdsl.yaml").read_text("utf-8")
    (tmp_path / "kdsl.yaml").write_text(config.replace("ocr:", "unlabelled: more.jsonl, ocr:"), "utf-8")
    write_lines(tmp_path / "more.jsonl", [{"id": id, "text": text} for id, text in TEXTS.items()])
    live = open_shop(tmp_path)
    say(live, 0.6, 0.6, 0.6, 0.5, 0.99)
    return live


@pytest.fixture
def client(shop: LiveSite) -> TestClient:
    return TestClient(create_app(shop, ["testserver"], background=False), headers=ORIGIN)


def say(live: LiveSite, *of_first: float) -> None:
    """How likely the model takes each unlabelled sample for the first label."""
    index, first = live.site.indexes[TASK], np.array(of_first)
    index.opinions = ModelPredictions(np.stack([first, 1 - first], 1), np.ones(len(first), bool))
    guide = make_guide(index.table, index.unlabelled.table, index.opinions)
    assert guide is not None
    live.site.labelling.guides[TASK] = guide


def groups(live: LiveSite) -> list[Group]:
    return live.site.labelling.groups(live.site, TASK)


def ids(live: LiveSite) -> list[list[str]]:
    return [[sample.id for sample in group.samples] for group in groups(live)]


def named(live: LiveSite, id: str) -> str:
    """The fingerprint of an unlabelled sample."""
    index = live.site.indexes[TASK].unlabelled
    return index.samples[index.position[id]].fingerprint


def given(live: LiveSite) -> dict[str, str]:
    return {id: label.label for (_, id), _, label in live.site.labels.log.given()}


def give(client: TestClient, live: LiveSite, id: str, label: str, *others: str) -> str:
    form = {"sample": named(live, id), "label": label, **{f"with-{named(live, other)}": "on" for other in others}}
    return client.post(f"{PAGE}/give", data=form).text


def test_what_says_most_comes_first_with_what_means_the_same(shop):
    assert [set(some) for some in ids(shop)] == [{"u0", "u1", "u2"}, {"u3"}, {"u4"}]
    values = [group.value for group in groups(shop)]
    assert values[0] > 0.24 and values == sorted(values, reverse=True)


def test_the_page_shows_the_group_its_likely_labels_and_what_it_is_worth(shop, client):
    page = client.get(PAGE).text
    best = groups(shop)[0]
    assert re.findall(r'data-sample="(u\d)"', page) == [sample.id for sample in best.samples]
    assert re.findall(r'name="with-(\w+)" value="on" checked', page) == [s.fingerprint for s in best.samples[1:]]
    keys = re.findall(r'value="([^"]+)" data-key="(\d)"', page)
    assert keys == [(LABELS[0], "1"), (LABELS[1], "2")] and "0.60" in page
    assert f"expected gain {best.value:.1f}" in page


def test_a_rule_from_marked_words_begins_with_the_likeliest_label(shop, client):
    assert f'data-sample="u3" data-task="{TASK}" data-label="{LABELS[0]}"' in client.get(
        PAGE, params={"at": named(shop, "u3")}
    ).text  # fmt: skip


def test_one_label_for_all_that_are_ticked_and_one_undo(shop, client):
    page = give(client, shop, "u0", LABELS[1], "u2")
    assert given(shop) == {"u0": LABELS[1], "u2": LABELS[1]}
    assert "in all: 2" in page and 'data-sample="u0"' not in page
    undone = client.post(f"{PAGE}/undo", data={}).text
    assert given(shop) == {} and "undo label u0" in undone and 'data-sample="u0"' in undone


def test_what_was_labelled_is_asked_no_more_and_is_learned_from(shop, client, tmp_path):
    give(client, shop, "u0", LABELS[1], "u1", "u2")
    assert ids(shop) == [["u3"], ["u4"]]
    learned = {sample.id: sample.label for sample in Project.open(tmp_path).samples("train")}
    assert learned["u0"] == learned["u1"] == LABELS[1] and "u3" not in learned


def test_a_label_that_tells_about_another_sample_lowers_what_that_one_is_worth(shop, client):
    before = next(group for group in groups(shop) if len(group.samples) > 1)
    give(client, shop, before.samples[0].id, LABELS[1])
    after = next(group for group in groups(shop) if group.samples[0].id in {s.id for s in before.samples})
    assert after.value < before.value / 2


def test_what_an_accepted_rule_decides_is_not_asked_about(shop, client):
    assert ["u4"] in ids(shop)
    version = shop.site.store.get(TASK, "r-aaaa").version
    client.post(f"/t/{TASK}/rules/r-aaaa/decide", data={"version": version, "status": "accepted"})
    assert ["u4"] not in ids(shop) and ["u3"] in ids(shop)


def test_a_sample_on_which_an_undecided_rule_speaks_against_the_model_counts_more(shop):
    worth = {group.samples[0].id: group.value for group in groups(shop)}
    say(shop, 0.6, 0.6, 0.6, 0.5, 0.01)
    against = {group.samples[0].id: group.value for group in groups(shop)}
    assert against["u4"] > worth["u4"] + 0.1 and against["u3"] == pytest.approx(worth["u3"])


def test_skipped_groups_come_last_and_after_a_decision_the_next_is_shown(shop, client):
    first = groups(shop)[0]
    page = client.post(f"{PAGE}/skip", data={"sample": first.name}).text
    assert 'data-sample="u3"' in page and groups(shop)[-1].name == first.name
    assert given(shop) == {}


def test_the_order_stays_while_the_data_are_read_anew(shop, client):
    give(client, shop, "u0", LABELS[1], "u1", "u2")
    shop._take_data(lambda function, *arguments: function(*arguments))
    assert "u0" in shop.site.indexes[TASK].training.position
    assert ids(shop) == [["u3"], ["u4"]]


def test_what_somebody_labelled_meanwhile_is_refused_and_nothing_is_saved(shop, client, tmp_path):
    name, form = named(shop, "u3"), {"sample": named(shop, "u0"), "label": LABELS[0]}
    open_shop(tmp_path, "小李").site.labels.log.give(shop.site.indexes[TASK].unlabelled.samples[3], LABELS[1], "小李")
    answer = client.post(f"{PAGE}/give", data={**form, f"with-{name}": "on"})
    assert answer.status_code == 422 and "&#39;u3&#39; was given the label &#39;材质&#39;" in answer.text
    assert given(shop) == {"u3": LABELS[1]}


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"label": "没有"}, "is no label of"),
        ({"label": "调光", "sample": "nobody"}, "has no such unlabelled sample any more"),
    ],
)
def test_labels_and_samples_that_there_are_not_are_refused(shop, client, form, sentence):
    answer = client.post(f"{PAGE}/give", data={"sample": named(shop, "u0"), **form})
    assert answer.status_code == 422 and sentence in answer.text and given(shop) == {}


def test_groups_stand_in_the_queue_before_the_rules_that_are_worth_less(shop, client):
    rows = re.findall(r'data-row="([\w-]+)"', client.get(f"/t/{TASK}/rules").text)
    overview, worth = shop.site.overview(TASK), {group.name: group.value for group in groups(shop)}
    worth |= {rule.rule.id: float(overview.value[i]) for i, rule in enumerate(overview.rules)}
    assert {group.name for group in groups(shop)} <= set(rows)
    assert [worth[row] for row in rows] == sorted((worth[row] for row in rows), reverse=True)
    filtered = client.get(f"/t/{TASK}/rules", params={"sort": "coverage"}).text
    assert groups(shop)[0].name not in filtered


def test_where_a_label_is_worth_more_than_any_rule_of_a_list_the_list_says_so(shop, client):
    empty = client.get(f"/t/{TASK}/rules", params={"text": "nothing has this"}).text
    assert "A label is worth more now" in empty and f'href="{PAGE}"' in empty
    shop.site.labelling.guides.clear()
    assert "A label is worth more now" not in client.get(f"/t/{TASK}/rules", params={"text": "nothing"}).text


def test_where_a_rule_is_worth_more_the_page_says_so(shop, client):
    say(shop, 0.9, 0.9, 0.9, 0.5, 0.5)
    assert "A look at a rule is worth more now" not in client.get(PAGE).text
    say(shop, 0.999, 0.999, 0.999, 0.999, 0.999)
    page = client.get(PAGE).text
    assert "A look at a rule is worth more now" in page and f'href="/t/{TASK}/rules/r-aaaa"' in page


def test_without_unlabelled_samples_and_while_the_model_is_asked_the_page_says_so(shop, client, tmp_path):
    shop.site.labelling.guides.clear()
    shop.site.indexes[TASK].opinions = None
    assert "The model is being asked" in client.get(PAGE).text
    (tmp_path / "more.jsonl").write_text("", "utf-8")
    config = (tmp_path / "kdsl.yaml").read_text("utf-8").replace("unlabelled: more.jsonl, ", "")
    (tmp_path / "kdsl.yaml").write_text(config, "utf-8")
    client = TestClient(create_app(open_shop(tmp_path), ["testserver"], background=False), headers=ORIGIN)
    assert "There are no unlabelled samples" in client.get(PAGE).text


def test_without_any_labelled_sample_the_names_of_the_labels_give_the_order(tmp_path):
    write_shop(tmp_path)
    (tmp_path / "rules").rename(tmp_path / "other")
    lines = (tmp_path / "train.jsonl").read_text("utf-8").splitlines()
    records = [{key: value for key, value in json.loads(line).items() if key != "label"} for line in lines]
    write_lines(tmp_path / "train.jsonl", records)
    live = open_shop(tmp_path)
    live.ask_model()
    assert sorted(id for some in ids(live) for id in some) == sorted(record["id"] for record in records)
