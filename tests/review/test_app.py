import html
import re
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from reviewed_shop import LABELS, ORIGIN, open_shop, stored
from rule_files import TASK, contents

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.arbiter.arbiter import Arbiter, Quality
from kdsl.arbiter.weighing import Standing
from kdsl.mining.reliability import FEATURES, Reliability
from kdsl.review.app import create_app
from kdsl.review.effect import TrainedArbiter
from kdsl.review.model_predictions import ModelPredictions, model_predictions
from kdsl.review.page import chinese, translate
from kdsl.rules.rulebase import RuleBase

TEMPLATES = Path(__file__).parents[2] / "kdsl" / "review" / "templates"
ROOT = f"/t/{TASK}"


def test_the_queue_says_rules_in_plain_words_in_two_languages(client):
    page = client.get(f"{ROOT}/rules").text
    assert "last user turn contains 亮度 or 调光" in page and "2/4 (0.15–0.85)" in page
    client.cookies.set("kdsl_language", "zh")
    assert "用户最后一句含 亮度 或 调光" in client.get(f"{ROOT}/rules").text


def test_a_rule_without_hits_has_no_precision(client, site):
    page = client.get(f"{ROOT}/rules/{stored(site, '明暗').rule.id}").text
    assert "n/a" in page and "0.00" not in page


@pytest.mark.parametrize(
    ("query", "first", "count"),
    [
        ("flag=never", "明暗", 1),
        ("flag=conflict", "材质", 3),
        ("text=购买", "立即购买", 1),
        ("sort=coverage", "亮度", 4),
        ("sort=precision", "材质", 4),
        ("status=accepted", None, 0),
        ("label=商品材质&sort=precision", "材质", 2),
    ],
)
def test_filters_and_orders(client, query, first, count):
    page = client.get(f"{ROOT}/rules?{query}").text
    rows = re.findall(r'class="words"><a[^>]*>([^<]*)', page)
    assert len(rows) == count and (first is None or first in rows[0])


def test_a_rule_page_shows_right_and_wrong_hits_with_the_evidence_marked(client, site):
    page = client.get(f"{ROOT}/rules/{stored(site, '亮度').rule.id}").text
    wrong, right = page.split("Right hits 2")
    assert "Wrong hits 2" in wrong and "<mark>亮度</mark>" in wrong and "<mark>调光</mark>" in right


def test_evidence_on_an_image_is_a_box_in_the_units_of_the_page(client, site):
    page = client.get(f"{ROOT}/rules/{stored(site, '立即购买').rule.id}").text
    assert 'viewBox="0 0 60 100"' in page
    assert re.search(r'<rect class="line marked" x="5.0" y="80.0" width="45.0" height="15.0"', page)
    assert "<li><mark>立即购买</mark>&lt;script&gt;" in page  # and in words beside it


def test_one_decision_is_saved_and_the_next_rule_comes(client, site):
    old = stored(site, "亮度")
    answer = client.post(
        f"{ROOT}/rules/{old.rule.id}/decide",
        data={"version": old.version, "status": "accepted", "queue": "sort=coverage"},
    )
    assert answer.status_code == 200 and "✓ Saved" in answer.text
    assert old.rule.id not in answer.headers["hx-push-url"] and "sort=coverage" in answer.headers["hx-push-url"]
    assert RuleBase.load(site.config.rules, TASK).get(old.rule.id).review.by == "小王"


def test_after_the_last_rule_the_queue_comes(client, site):
    for _ in range(4):
        each = next(each for each in site.store.rules(TASK) if each.rule.status == "proposed")
        form = {"version": each.version, "status": "rejected", "reason": "太宽"}
        answer = client.post(f"{ROOT}/rules/{each.rule.id}/decide", data=form)
    assert "No rule matches these filters." in answer.text
    assert {each.rule.notes.split("\n")[-1] for each in site.store.rules(TASK)} == {"rejected: 太宽"}


def test_a_skipped_rule_comes_last(client, site):
    first = re.search(r"rules/(r-\w+)", client.get(f"{ROOT}/rules").text)[1]
    client.post(f"{ROOT}/rules/{first}/skip", data={})
    assert re.findall(r"rules/(r-\w+)", client.get(f"{ROOT}/rules").text)[-1] == first


def test_the_second_of_two_tabs_sees_the_difference_and_may_then_decide(client, site):
    old = stored(site, "亮度")
    address = f"{ROOT}/rules/{old.rule.id}/decide"
    client.post(address, data={"version": old.version, "status": "accepted"})
    answer = client.post(address, data={"version": old.version, "status": "rejected", "reason": "不对"})
    assert answer.status_code == 409
    assert "- status: accepted" in answer.text and "+ status: rejected" in answer.text
    assert re.search(r"changed since you opened it: accepted, 小王 \d{4}-\d\d-\d\d \d\d:", answer.text)
    assert stored(site, "亮度").rule.status == "accepted"
    version = re.search(r'name="version" value="(\w+)"', answer.text)[1]
    client.post(address, data={"version": version, "status": "rejected", "reason": "不对"})
    assert stored(site, "亮度").rule.status == "rejected"


def test_undo_goes_all_the_way_back(client, site):
    before = contents(site.config.rules)
    for term in ("亮度", "材质"):
        each = stored(site, term)
        client.post(f"{ROOT}/rules/{each.rule.id}/decide", data={"version": each.version, "status": "accepted"})
    each = stored(site, "明暗")
    client.post(f"{ROOT}/rules/{each.rule.id}/note", data={"version": each.version, "notes": "问客服"})
    for _ in range(3):
        assert client.post(f"{ROOT}/undo", data={}).status_code == 200
    assert contents(site.config.rules) == before
    answer = client.post(f"{ROOT}/undo", data={})
    assert answer.status_code == 422 and "nothing that 小王 did" in answer.text


def test_a_preview_counts_what_an_edit_would_change_before_anything_is_saved(client, site):
    old = stored(site, "亮度")
    before = contents(site.config.rules)
    form = {"id": old.rule.id, "label": LABELS[0], "field-0": "last_user", "test-0": "调光\r\n可以调"}
    answer = client.post(f"{ROOT}/preview", data=form).text
    assert "2/2 (0.34–1.00)" in answer  # precision
    assert re.search(r"would be lost</dt><dd>2 \(right 0, wrong 2\)", answer)
    assert contents(site.config.rules) == before


SURE = {"weight": 3.0, "accepted_weight": 3.0}


def test_a_preview_shows_the_decisions_that_would_change_with_samples_to_open(client, site):
    index, old = site.indexes[TASK], stored(site, "亮度")
    form = {"id": old.rule.id, "label": LABELS[1], "field-0": "last_user", "test-0": "调光"}
    assert "would change, once accepted: n/a (not trained)" in client.post(f"{ROOT}/preview", data=form).text
    standing = Standing(id=old.rule.id, when=old.when, label=LABELS[0], reliability=0.9, hits=4, correct=2, **SURE)
    quality = Quality(log_loss=1.0, weighted_f1=0.5)
    arbiter = Arbiter(
        task=TASK, labels=LABELS, a=1.0, b_people=1.0, b_mined=1.0, mean_people=1.0,
        model_a=1.0, samples=6, model=quality, both=quality,
        base_rates=(0.3, 0.4, 0.3), rules=(standing,), overlaps=(),
    )  # fmt: skip
    site.arbiters[TASK] = TrainedArbiter(arbiter, Reliability(1.0, (0.0,) * len(FEATURES))), ""
    assert "would change, once accepted: n/a" in client.post(f"{ROOT}/preview", data=form).text
    index.predictions = ModelPredictions(np.tile([0.2, 0.5, 0.3], (6, 1)), np.ones(6, dtype=bool))
    page = client.post(f"{ROOT}/preview", data=form).text
    # s0, s1, s2 and s4 hold 亮度 or 调光: without the rule the model decides, and only s1 is hit by the edited one.
    assert re.search(r"once accepted: <b>4</b> of 4 \(become right 2, become wrong 2\)", page)
    assert "as training would give it" in page
    assert f'<a href="{ROOT}/sample?id=s4" target="_blank">s4</a></td><td>{LABELS[1]}</td>' in page
    assert stored(site, "亮度").rule.label == LABELS[0]


@pytest.mark.parametrize(
    ("b_mined", "title"),
    [(1.0, "Decisions changed by this rule"), (0.0, "Decisions that this rule would change, once accepted")],
)
def test_a_rule_that_counts_only_once_accepted_is_told_as_such(client, site, b_mined, title):
    index, rule = site.indexes[TASK], stored(site, "亮度")
    standing = Standing(id=rule.rule.id, when=rule.when, label=LABELS[0], reliability=0.9, hits=4, correct=2, **SURE)
    quality = Quality(log_loss=1.0, weighted_f1=0.5)
    arbiter = Arbiter(
        task=TASK, labels=LABELS, a=1.0, b_people=1.0, b_mined=b_mined, mean_people=1.0,
        model_a=1.0, samples=6, model=quality,
        both=quality, base_rates=(0.3, 0.4, 0.3), rules=(standing,), overlaps=(),
    )  # fmt: skip
    site.arbiters[TASK] = TrainedArbiter(arbiter), ""
    index.predictions = ModelPredictions(np.tile([0.2, 0.5, 0.3], (6, 1)), np.ones(6, dtype=bool))
    assert f"{title}: <b>4</b> of 4" in client.get(f"{ROOT}/rules/{rule.rule.id}/effect").text


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"field-0": "turns", "test-0": "many"}, "condition 1: turns takes a comparison"),
        ({"field-0": "nowhere", "test-0": "x"}, "unknown field"),
        ({"field-0": "user", "test-0": " "}, "Your conditions are tried on the training samples as you write."),
        ({"field-0": "user", "test-0": "\u200b"}, "is empty once normalised"),
    ],
)
def test_a_wrong_condition_is_told_in_a_sentence(client, form, sentence):
    assert sentence in client.post(f"{ROOT}/preview", data={"label": LABELS[0], **form}).text


def test_edit_new_merge_and_pin(client, site):
    old, other = stored(site, "亮度"), stored(site, "明暗")
    merged = {"version": old.version, "other": other.rule.id, "other_version": other.version}
    assert client.post(f"{ROOT}/rules/{old.rule.id}/merge", data=merged).status_code == 200
    assert stored(site, "明暗").rule.conditions[0].terms == ("亮度", "调光", "明暗")
    edited = {
        "version": stored(site, "材质").version,
        "label": LABELS[1],
        "field-0": "user",
        "test-0": "面料",
        "accept": "1",
    }
    client.post(f"{ROOT}/rules/{stored(site, '材质').rule.id}/edit", data=edited)
    assert stored(site, "面料").rule.status == "accepted"
    new = {"label": LABELS[2], "field-3": "user", "test-3": "你好", "field-4": "user", "test-4": "吗", "not-4": "1"}
    client.post(f"{ROOT}/new", data=new)
    made = stored(site, "你好").rule
    assert made.conditions[1].negated and made.provenance.source == "person"
    pinned = {"version": stored(site, "你好").version, "sample": "s0", "must": "hit"}
    page = client.post(f"{ROOT}/rules/{made.id}/pin", data=pinned).text
    assert "s0: must hit, fails" in page
    assert "failing tests" in client.get(f"{ROOT}/rules?status=all&flag=tests").text


def test_after_an_edit_that_is_accepted_the_next_rule_is_still_the_next(client, site):
    first, second = re.findall(r'data-row="(r-\w+)"', client.get(f"{ROOT}/rules?sort=coverage").text)[1:3]
    form = {
        "version": site.store.get(TASK, first).version, "label": LABELS[0], "field-0": "user", "test-0": "你好",
        "accept": "1", "queue": "sort=coverage",
    }  # fmt: skip
    page = client.post(f"{ROOT}/rules/{first}/edit", data=form).text
    assert re.search(rf'data-after href="[^"]*{second}', page)


def test_the_history_is_told_in_the_words_of_the_page(client, site):
    each = stored(site, "亮度")
    address = f"{ROOT}/rules/{each.rule.id}"
    form = {"version": each.version, "label": LABELS[0], "field-0": "image.count", "test-0": "<=1", "accept": "1"}
    client.post(f"{address}/edit", data=form)
    client.post(
        f"{address}/pin", data={"version": site.store.get(TASK, each.rule.id).version, "sample": "s0", "must": "miss"}
    )
    client.cookies.set("kdsl_language", "zh")
    undone = client.post(f"{ROOT}/undo", data={}).text
    assert "撤销" in undone and "(固定样本)" in undone and "图片数 ≤1 → 能否调光" in undone
    page = undone.split("历史")[1]
    assert "待定 → 已接受" in page and "- 用户最后一句含 亮度 或 调光" in page and "+ 图片数 ≤1" in page
    assert "不得命中 s0" in page
    version = site.store.get(TASK, each.rule.id).version
    client.post(f"{address}/edit", data={**form, "version": version, "label": LABELS[1]})
    assert f"标签: {LABELS[0]} → {LABELS[1]}" in client.get(address).text


def test_a_rejected_rule_conflicts_with_none_and_is_not_offered_for_a_merge(client, site):
    address, other = f"{ROOT}/rules/{stored(site, '亮度').rule.id}", stored(site, "材质")

    def row() -> str:
        return client.get(address).text.split(f"{other.rule.id}?status=all")[1].split("</tr>")[0]

    assert '<span class="status conflict">' in row()
    client.post(f"{ROOT}/rules/{other.rule.id}/decide", data={"version": other.version, "status": "rejected"})
    assert '<span class="status conflict">' not in row() and "Merge" not in row()


def test_gaps_are_counted_and_lead_to_their_samples(client, site):
    site.indexes[TASK].predictions = model_predictions(
        site.config, site.tasks[TASK], site.indexes[TASK].table, site.indexes[TASK].labels
    )
    page = client.get(f"{ROOT}/gaps").text
    assert re.search(r"<b>1</b> Samples that no rule covers", page)
    assert re.search(r"<b>2</b> Samples on which rules contradict each other", page)
    assert "s5" in client.get(f"{ROOT}/samples?kind=uncovered").text
    assert client.get(f"{ROOT}/sample?id=s5").status_code == 200
    assert client.get(f"{ROOT}/progress").status_code == 200


def test_decisions_are_counted_by_day_without_those_taken_back(client, site):
    page = client.get(f"{ROOT}/progress").text
    assert re.search(r"Decisions by day</h2>\s*<p[^>]*>none", page) and "Not measured yet" in page
    for term in ("亮度", "材质", "明暗"):
        each = stored(site, term)
        client.post(f"{ROOT}/rules/{each.rule.id}/decide", data={"version": each.version, "status": "accepted"})
    client.post(f"{ROOT}/rules/{each.rule.id}/skip", data={})
    client.post(f"{ROOT}/undo", data={})
    client.post(f"{ROOT}/undo", data={})
    assert re.search(r"<title>\d{4}-\d\d-\d\d: decided 2</title>", client.get(f"{ROOT}/progress").text)


def test_the_queue_shows_what_it_is_sorted_by_and_na_where_that_is_not_known(client, site):
    def figures(sort: str) -> list[str]:
        page = client.get(f"{ROOT}/rules?status=all&sort={sort}").text
        return re.findall(r'data-name="[^"]*">([^<]*)</td>\s*<td><span class="status', page)

    assert figures("disagreement") == ["n/a"] * 4
    index = site.indexes[TASK]
    index.predictions = ModelPredictions(np.tile([0.2, 0.5, 0.3], (6, 1)), np.ones(6, dtype=bool))
    assert figures("disagreement") == ["4/4", "0/2", "0/1", "n/a"]  # the model always says the second label
    assert figures("precision") == ["0.34", "0.15", "0.00", "n/a"]
    assert figures("value")[-1] == "n/a"


def test_what_the_model_says_out_of_fold_is_kept_in_the_checkpoint(site):
    index = site.indexes[TASK]
    word = model_predictions(site.config, site.tasks[TASK], index.table, index.labels)
    again = model_predictions(site.config, site.tasks[TASK], index.table, index.labels)
    assert (word.said == again.said).all() and (site.config.checkpoint / TASK / "review.npz").exists()


@pytest.mark.parametrize("sidecar", ["ocr", "transcripts", "captions"])
def test_what_the_model_says_is_found_out_again_where_more_is_known_about_samples(site, tmp_path, sidecar):
    known = tmp_path / f"{sidecar}.jsonl"
    known.write_text("1", "utf-8")
    config = site.config.model_copy(update={"data": site.config.data.model_copy(update={sidecar: known})})
    index, kept = site.indexes[TASK], site.config.checkpoint / TASK / "review.npz"

    def written() -> int:
        model_predictions(config, site.tasks[TASK], index.table, index.labels)
        return kept.stat().st_mtime_ns

    before = written()
    assert written() == before
    known.write_text("2", "utf-8")
    assert written() != before


def test_settings_lead_back_to_where_one_was_and_into_the_page_only(client):
    for referer, place in (
        ("http://testserver/t/x/rules?sort=coverage", "/t/x/rules?sort=coverage"),
        ("http://testserver//evil.example", "/"),
        ("https://evil.example/t/x", "/"),
        ("http://testserver/\t/evil.example", "/"),
        ("http://[", "/"),
        ("", "/"),
    ):
        answer = client.post(
            "/settings", data={"language": "zh"}, headers={"referer": referer}, follow_redirects=False
        )  # fmt: skip
        assert answer.headers["location"] == place
    assert "你是" in client.get(f"{ROOT}/rules", headers={"hx-request": "false"}).text
    assert client.post("/settings", data={"theme": "pink"}).status_code == 422


def test_an_unknown_task_or_rule_is_a_sentence(client):
    assert "the project has no task" in client.get("/t/none/rules").text
    assert "no rule has the id" in client.get(f"{ROOT}/rules/r-none").text


def test_the_way_back_to_the_queue_leads_to_the_rule_with_all_filters(client, site):
    last = re.findall(r"rules/(r-\w+)", client.get(f"{ROOT}/rules?status=all&sort=coverage").text)[-1]
    page = client.get(f"{ROOT}/rules/{last}?status=all&sort=coverage").text
    back = html.unescape(re.search(r'data-up href="([^"]*)"', page)[1])
    assert back == f"{ROOT}/rules?status=all&sort=coverage&at={last}"
    assert f'<tr data-row="{last}" class="here">' in client.get(back).text


def test_undo_and_the_queue_after_the_last_rule_keep_the_filters(client, site):
    each = stored(site, "立即购买")
    form = {"version": each.version, "status": "accepted", "queue": "label=商品材质&text=材质"}
    done = client.post(f"{ROOT}/rules/{each.rule.id}/decide", data=form)
    assert done.headers["hx-push-url"].endswith(f"/rules?{urlencode({'label': '商品材质', 'text': '材质'})}")
    kept = html.unescape(re.search(r'id="undo".*?name="queue" value="([^"]*)"', done.text)[1])
    undone = client.post(f"{ROOT}/undo", data={"queue": kept})
    assert undone.headers["hx-push-url"].endswith(f"{each.rule.id}?{kept}") and "label=" in kept


def test_a_pin_or_a_note_makes_no_second_step_for_the_back_button(client, site):
    each = stored(site, "亮度")
    form = {"version": each.version, "sample": "s0", "must": "hit"}
    assert "hx-push-url" not in client.post(f"{ROOT}/rules/{each.rule.id}/pin", data=form).headers


def test_what_is_refused_stands_above_the_page_that_asked(client, site):
    each = stored(site, "亮度")
    answer = client.post(f"{ROOT}/rules/{each.rule.id}/edit", data={"version": each.version, "label": LABELS[0]})
    assert answer.status_code == 422 and answer.headers["hx-retarget"] == "#alert"
    assert "Not saved" in answer.text and "<title>" not in answer.text
    page = client.get(f"{ROOT}/rules/r-none", headers={"hx-request": "false"})
    assert "hx-retarget" not in page.headers and "<title>" in page.text


def test_an_unknown_address_is_a_page_too(client):
    answer = client.get("/nothing", headers={"hx-request": "false"})
    assert answer.status_code == 404 and "Back to the queue" in answer.text


def test_every_word_of_the_page_is_there_in_chinese():
    words = set()
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        words |= set(re.findall(r"""_\("([^"]+)"\)|_\('([^']+)'\)""", text))
    missing = [one or two for one, two in words if (one or two) not in chinese()]
    assert missing == []
    assert translate("Accept", "zh") == "接受" and translate("Accept", "en") == "Accept"


def test_a_project_without_rules_has_pages_too(tmp_path):
    client = TestClient(create_app(open_shop(tmp_path, rules=0), ["testserver"], background=False), headers=ORIGIN)
    for page in ("rules", "gaps", "progress", "new", "samples?kind=uncovered", "sample?id=s0"):
        assert client.get(f"{ROOT}/{page}").status_code == 200, page


def test_a_rule_whose_label_the_task_does_not_have_is_shown(client, site):
    old = stored(site, "亮度")
    old.path.write_text(old.text.replace(LABELS[0], "没有的标签"), encoding="utf-8")
    site.store.refresh()
    assert client.get(f"{ROOT}/rules/{old.rule.id}").status_code == 200
    assert "没有的标签" in client.get(f"{ROOT}/rules").text
