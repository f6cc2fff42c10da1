"""A rule's page says about it what `kdsl rules lint` says."""

import html
import re
from pathlib import Path

import pytest
from reviewed_shop import LABELS, ORIGIN, open_shop
from rule_files import TASK, rule
from seeing_shop import COLOUR, with_encoder

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.review.app import create_app
from kdsl.review.findings import findings
from kdsl.review.live import LiveSite
from kdsl.rules.finding import check_name, sentence
from kdsl.rules.lint import lint
from kdsl.rules.rule import Review
from kdsl.rules.rulebase import RuleBase

ODD = [
    rule(LABELS[0], {"user": ["亮度"]}, {"not": {"user": ["亮"]}}),  # contradicts itself
    rule(LABELS[0], {"user": ["亮度", "亮度可以"]}, {"dialogue": ["亮度"]}),  # redundant term and condition
    rule(LABELS[0], {"not": {"user": ["灯"]}}),  # only negated, and hits everything
    rule(LABELS[1], {"last_user": ["亮度", "调光"]}),  # conditions of a rule for another label
    rule(LABELS[1], {"last_user": ["调光", "亮度"]}, status="rejected"),
    rule(LABELS[1], {"dialogue": ["材质好"]}),  # subsumed by 材质
    rule(LABELS[1], {"user": ["材质"]}, tests={"hit": ["s0", "没有"], "miss": ["s3"]}),
    rule(LABELS[2], {"agent": ["稍等"]}, status="accepted", review=Review(by="小王", of="other")),  # stale
    rule("没有的标签", {"user": ["你"]}),
]


def odd_shop(folder: Path) -> LiveSite:
    """The shop with all the rules of `ODD`."""
    live = open_shop(folder)
    base = RuleBase(folder / "rules", TASK)
    for each in ODD:
        base.save(each)
    live.refresh()
    return live


def test_the_same_findings_as_lint_for_every_rule(tmp_path):
    live = odd_shop(tmp_path)
    site = live.site
    index = site.indexes[TASK]
    expected = lint(tmp_path / "rules", index.task, index.samples, site.sidecars)
    found = [finding for stored in site.store.rules(TASK) for finding in findings(site, stored)]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert len({finding.check for finding in found}) >= 9


def test_the_page_lists_them(tmp_path):
    live = open_shop(tmp_path)
    RuleBase(tmp_path / "rules", TASK).save(ODD[0])
    live.refresh()
    client = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)
    address = f"/t/{TASK}/rules/{ODD[0].id}"
    assert f'hx-get="{address}/lint"' in client.get(address).text
    assert "contradiction" in client.get(f"{address}/lint").text
    client.cookies.set("kdsl_language", "zh")
    assert "条件矛盾" in client.get(f"{address}/lint").text


def test_in_chinese_every_finding_is_told_in_chinese_and_leads_to_the_rules_that_it_names(tmp_path):
    live = odd_shop(tmp_path)
    client = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)
    client.cookies.set("kdsl_language", "zh")
    for stored in live.site.store.rules(TASK):
        text = client.get(f"/t/{TASK}/rules/{stored.rule.id}/lint").text
        for finding in findings(live.site, stored):
            told = html.escape(sentence(finding.check, finding.values, "zh"), quote=False).replace('"', "&#34;")
            assert told in re.sub(r"</?a[^>]*>", "", text) and check_name(finding.check, "zh") in text
            if "other" in finding.values:
                address = f"/t/{TASK}/rules/{finding.values['other']}"
                assert f'href="{address}?status=all"' in text and client.get(address).status_code == 200


def test_what_most_samples_or_none_meet_is_told_of_all_samples_not_of_the_hits(tmp_path):
    meaning = {"means": {"last_user": "退钱", "at": 0.6}}  # on 3 of 7 samples, all of its hits
    wide = {"means": {"last_user": ["退钱", "快递"], "at": 0.6}}  # on 4 of 7
    site = with_encoder(tmp_path, meaning, wide, COLOUR).site
    index = site.indexes[TASK]
    expected = lint(tmp_path / "rules", index.task, index.samples, site.sidecars)
    found = [finding for stored in site.store.rules(TASK) for finding in findings(site, stored)]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert [each.values["hits"] for each in found if each.check == "vague meaning"] == [4]
    assert not [each for each in found if each.check == "no images"]
