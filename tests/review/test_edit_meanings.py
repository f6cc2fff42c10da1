"""Rules on meaning and sight, written and edited on the page."""

import html
import re
from pathlib import Path

import pytest
from reviewed_shop import ORIGIN
from rule_files import TASK, contents
from seeing_shop import COLOUR, KIND, LARGE, MEANING, PARCEL, REFUND, open_seeing_shop, with_encoder

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.review.app import create_app
from kdsl.review.live import LiveSite
from kdsl.rules.rulebase import RuleBase

ROOT = f"/t/{TASK}"


def client_of(live: LiveSite) -> TestClient:
    return TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)


def the_rule(live: LiveSite):
    [stored] = live.site.store.rules(TASK)
    return stored


def meaning_form(at: str, **values: str) -> dict[str, str]:
    return {
        "label": REFUND, "field-0": "means", "test-0": "退钱", "compared-0": "last_user", "at-0": at,
        "encoder-0": "concepts", **values,
    }  # fmt: skip


def filled_in(page: str) -> dict[str, str]:
    """What a browser sends of the inputs on a page."""
    form = dict(re.findall(r'<input[^>]* name="([\w-]+)" value="([^"]*)"', page.replace('type="checkbox"', "")))
    form |= dict(re.findall(r'<textarea name="([\w-]+)"[^>]*>([^<]*)', page))
    for name, options in re.findall(r'<select name="([\w-]+)"(.*?)</select>', page, re.DOTALL):
        [form[name]] = re.findall(r'<option value="([^"]*)"[^>]* selected', options)
    return {name: html.unescape(value) for name, value in form.items() if name != "not-0"}


@pytest.mark.parametrize("condition", [MEANING, COLOUR, KIND, LARGE, {"image.text_area": ">0.4"}, {"ocr.bar": ["买"]}])
def test_a_condition_of_every_kind_stands_in_the_form_and_is_saved_as_it_was(tmp_path, condition):
    live = with_encoder(tmp_path, condition)
    stored, client = the_rule(live), client_of(live)
    before = contents(live.site.config.rules)
    page = client.get(f"{ROOT}/rules/{stored.rule.id}/edit").text.split("<template")[0]
    form = {"label": REFUND, **filled_in(page)}
    answer = client.post(f"{ROOT}/rules/{stored.rule.id}/edit", data=form)
    assert "✓ Saved" in answer.text
    [(_, old)], [(_, new)] = before.items(), contents(live.site.config.rules).items()
    assert re.search(r"when:.*?(?=\n\w)", new, re.DOTALL)[0] == re.search(r"when:.*?(?=\n\w)", old, re.DOTALL)[0]


def test_a_moved_threshold_is_previewed_and_saved_only_when_asked(tmp_path):
    live = with_encoder(tmp_path, MEANING)
    stored, client = the_rule(live), client_of(live)
    before = contents(live.site.config.rules)
    form = meaning_form("0.8", id=stored.rule.id)
    page = client.post(f"{ROOT}/preview", data=form).text
    assert "2/2 (0.34–1.00)" in page  # precision
    assert re.search(r"would be lost</dt><dd>1 \(right 0, wrong 1\)", page)
    rows = re.findall(r'<td class="number">([\d.]+)</td><td(?: class="piece"| colspan="3")>([^<]*)', page)
    assert [similarity for similarity, _ in rows] == ["1.000", "1.000", "0.8", "0.707", "0.000", "0.000"]
    assert rows[1][1] == "亲，退款到了吗" and rows[2][1] == "threshold: the rows above are hit, those below are not"
    assert contents(live.site.config.rules) == before
    client.post(f"{ROOT}/rules/{stored.rule.id}/edit", data={**form, "version": stored.version, "accept": "1"})
    [saved] = RuleBase.load(live.site.config.rules, TASK).rules
    assert (saved.status, saved.conditions[0].mapping()["means"]) == (
        "accepted", {"last_user": "退钱", "at": 0.8, "encoder": "concepts"},
    )  # fmt: skip


def test_the_slider_begins_at_the_rules_threshold(tmp_path):
    live = with_encoder(tmp_path, MEANING)
    page = client_of(live).get(f"{ROOT}/rules/{the_rule(live).rule.id}/edit").text
    assert '<input type="range" min="0.1" max="1" step="0.01" value="0.6"' in page
    assert re.search(r'name="at-0" value="0.6"', page)


def test_wrong_input_is_told_beside_the_form_and_nothing_is_saved(tmp_path):
    live = with_encoder(tmp_path, MEANING)
    stored, client = the_rule(live), client_of(live)
    before = contents(live.site.config.rules)
    form = meaning_form("1.5", id=stored.rule.id, version=stored.version)
    sentence = "condition 1: means: at is the least similarity, a number above 0 and at most 1, not 1.5"
    assert sentence in client.post(f"{ROOT}/preview", data=form).text
    answer = client.post(f"{ROOT}/rules/{stored.rule.id}/edit", data=form)
    assert answer.status_code == 422 and sentence in answer.text and answer.headers["hx-retarget"] == "#alert"
    assert contents(live.site.config.rules) == before


def test_without_an_encoder_the_preview_says_what_is_missing(tmp_path):
    client = client_of(open_seeing_shop(tmp_path))
    page = client.post(f"{ROOT}/preview", data=meaning_form("0.6", **{"encoder-0": ""})).text
    assert "needs a sentence encoder, and the project has none" in page and "threshold:" not in page
    assert "from-meaning" not in client.get(f"{ROOT}/sample?id=s0").text


def test_a_new_rule_begins_with_what_was_marked_and_the_projects_encoder(tmp_path):
    client = client_of(with_encoder(tmp_path))
    assert "from-meaning" in client.get(f"{ROOT}/sample?id=s0", headers={"hx-request": "false"}).text
    page = client.get(f"{ROOT}/new?field=means&compared=user&term=退钱&label={REFUND}").text.split("<template")[0]
    assert 'data-test="meaning"' in page and ">退钱</textarea>" in page
    assert '<option value="user" selected>' in page and '<option value="concepts" selected>' in page


def test_a_new_rule_on_a_colour_is_tried_and_saved(tmp_path):
    live = open_seeing_shop(tmp_path)
    client = client_of(live)
    form = {"label": REFUND, "field-0": "image.colour", "zone-0": "top", "colour-0": "orange", "share-0": ">0.3"}
    page = client.post(f"{ROOT}/preview", data=form).text
    assert "1/1 (0.21–1.00)" in page and '<rect class="region" x="0.0" y="0.0" width="100.0" height="40.0">' in page
    client.post(f"{ROOT}/new", data=form)
    assert the_rule(live).rule.conditions[0].mapping() == COLOUR


def test_a_sample_shows_the_regions_of_the_rules_that_hit_it_and_samples_like_it(tmp_path):
    client = client_of(with_encoder(tmp_path, COLOUR, MEANING))
    page = client.get(f"{ROOT}/sample?id=s5").text
    assert "<li>the top of the image: orange 100 %</li>" in page
    assert f'hx-get="{ROOT}/alike?id=s5"' in page
    alike = client.get(f"{ROOT}/alike?id=s0").text
    assert "by what the last user turn means" in alike
    assert re.findall(r"sample\?id=(s\d)", alike) == ["s1", "s2"]
    assert f'<td class="right">{REFUND}</td>' in alike and f'<td class="wrong">{PARCEL}</td>' in alike
    client.cookies.set("kdsl_language", "zh")
    assert "按用户最后一句的意思" in client.get(f"{ROOT}/alike?id=s0").text
    assert "图片顶部：橙色 100%" in client.get(f"{ROOT}/sample?id=s5").text


def test_samples_like_one_that_is_not_there_are_refused(tmp_path: Path):
    answer = client_of(with_encoder(tmp_path)).get(f"{ROOT}/alike?id=nobody")
    assert answer.status_code == 422 and "has no sample &#39;nobody&#39;" in answer.text
