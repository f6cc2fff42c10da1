"""Refine in the page: variants with their counts, and taking one as any edit is saved."""

import html
import re

import pytest
from reviewed_shop import ORIGIN
from shop_on_disk import TASK, write_lines, write_rule, write_shop

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.project.project import Project
from kdsl.review.app import create_app
from kdsl.review.live import LiveSite, open_live
from kdsl.rules.rulebase import RuleBase

ROOT = f"/t/{TASK}/rules/r-aaaa"
MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def live(tmp_path) -> LiveSite:
    """A rule on 亮度, where half the samples of its label say 变暗 instead, and 亮度不错 is no question about it."""
    write_shop(tmp_path)
    said = [("亮度", "调光")] * 8 + [("变暗", "调光")] * 8 + [("亮度不错", "材质")] * 6 + [("面料", "材质")] * 8
    lines = [
        {"id": f"s{i}", "turns": [{"role": "user", "text": f"请问{text}，{MARKUP}"}], "label": label}
        for i, (text, label) in enumerate(said)
    ]
    write_lines(tmp_path / "train.jsonl", lines)
    return open_live(Project.open(tmp_path), "小王")


@pytest.fixture
def client(live) -> TestClient:
    return TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)


def forms(page: str) -> list[dict[str, str]]:
    """The hidden fields of each form that takes a variant."""
    return [
        {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form)}
        for form in re.findall(r"<form.*?</form>", page, re.DOTALL)
    ]


def saved(live: LiveSite):
    return RuleBase.load(live.site.config.rules, TASK).get("r-aaaa")


def test_the_rule_page_asks_for_variants_by_one_key(client):
    page = client.get(ROOT).text
    assert f'data-key="r" hx-get="{ROOT}/refine"' in page and 'id="refine"' in page


def test_variants_come_with_changes_and_counts_of_both_kinds(client):
    page = client.get(f"{ROOT}/refine").text
    assert '<div class="add">+ &#34;变暗&#34; (user turns)</div>' in page
    assert "8/14 (0.33–0.79)" in page  # as it is
    assert "16/16 (0.81–1.00)" in page
    assert [f'data-key="{n}"' in page for n in (1, 2, 3, 4)][3] is False
    client.cookies.set("kdsl_language", "zh")
    assert "(用户的话)" in client.get(f"{ROOT}/refine").text


def test_one_key_takes_a_variant_and_it_is_saved_before_the_page_says_so(client, live):
    form = forms(client.get(f"{ROOT}/refine").text)[0]
    answer = client.post(f"{ROOT}/edit", data=form)
    assert answer.status_code == 200 and "✓ Saved: edit r-aaaa" in answer.text
    rule = saved(live)
    assert "变暗" in rule.conditions[0].terms and rule.status == "proposed"
    client.post(f"/t/{TASK}/undo", data={})
    assert saved(live).conditions[0].terms == ("亮度",)


def test_an_approval_is_stale_after_a_variant_was_taken(client, live):
    version = live.site.store.get(TASK, "r-aaaa").version
    client.post(f"{ROOT}/decide", data={"version": version, "status": "accepted"})
    client.post(f"{ROOT}/edit", data=forms(client.get(f"{ROOT}/refine").text)[0])
    assert saved(live).status == "accepted" and saved(live).stale


def test_what_somebody_changed_meanwhile_is_not_overwritten(client, live, tmp_path):
    form = forms(client.get(f"{ROOT}/refine").text)[0]
    write_rule(tmp_path, "r-aaaa", "调光", "user", "明亮").rename(live.site.store.get(TASK, "r-aaaa").path)
    answer = client.post(f"{ROOT}/edit", data=form)
    assert answer.status_code == 409 and saved(live).conditions[0].terms == ("明亮",)


def test_a_rule_that_no_edit_makes_better_is_told_as_such(client, live):
    form = {"version": live.site.store.get(TASK, "r-bbbb").version, "label": "材质", "field-0": "user"}
    client.post(f"/t/{TASK}/rules/r-bbbb/edit", data={**form, "test-0": "面料\n不错"})
    page = client.get(f"/t/{TASK}/rules/r-bbbb/refine").text
    assert "No edit makes this rule better" in page and "<form" not in page


def test_terms_of_strangers_are_escaped(client, live):
    form = {"version": live.site.store.get(TASK, "r-aaaa").version, "label": "调光", "field-0": "user"}
    client.post(f"{ROOT}/edit", data={**form, "test-0": f"亮度\n{MARKUP}"})
    page = client.get(f"{ROOT}/refine").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and MARKUP not in page


def test_a_label_that_the_task_does_not_have_is_refused_in_a_sentence(client, live, tmp_path):
    write_rule(tmp_path, "r-eeee", "退货", "user", "退货")
    live.refresh()
    answer = client.get(f"/t/{TASK}/rules/r-eeee/refine")
    assert answer.status_code == 422 and "&#39;退货&#39; is no label of shop" in answer.text


def test_samples_are_prepared_in_the_background_and_again_when_they_change(live, tmp_path):
    live.prepare_refining()
    index = live.site.indexes[TASK]
    assert index.refiner is not None and len(index.refiner.problem.labels) == 30
    write_lines(tmp_path / "train.jsonl", [{"id": "s0", "text": "亮度", "label": "调光"}])
    live.refresh()
    live.prepare_refining()  # samples of one label: there is nothing to refine on, and that is told when asked
    assert live.site.indexes[TASK].refiner is None


def test_what_a_model_drafted_is_shown_as_text(client, live, tmp_path):
    path = write_rule(tmp_path, "r-ffff", "调光", "user", "变暗")
    proposed = f'provenance: {{source: draft, proposer: "{MARKUP}"}}\nnotes: "{MARKUP}"\n'
    path.write_text(path.read_text("utf-8").replace("变暗", MARKUP) + proposed, "utf-8")
    live.refresh()
    page = client.get(f"/t/{TASK}/rules/r-ffff?status=all").text + client.get(f"/t/{TASK}/rules?status=all").text
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4 and MARKUP not in page
