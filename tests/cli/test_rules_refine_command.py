"""kdsl rules refine: what is printed, and --take as an edit that loses nothing."""

import json

import pytest
from shop_of_drafts import write_draft_shop

from kdsl.project.project import Project
from kdsl.review.exchange import open_store
from kdsl.rules.rulebase import RuleBase


@pytest.fixture
def shop(tmp_path):
    return write_draft_shop(tmp_path)


def rule(shop):
    return RuleBase.load(shop / "rules", "shop").get("r-aaaa")


def test_the_variants_are_listed_with_both_counts(kdsl, shop):
    result = kdsl("rules", "refine", "r-aaaa", shop)
    assert result.code == 0, result.err
    assert "as it is" in result.out and '+ "变暗" (user turns)' in result.out and "16/16 (0.81–1.00)" in result.out
    before = (rule(shop).conditions, rule(shop).status)
    assert before == (rule(shop).conditions, "accepted")


def test_json_holds_the_conditions_as_a_rule_file_does(kdsl, shop):
    found = json.loads(kdsl("rules", "refine", "r-aaaa", shop, "--format", "json").out)
    assert found["training"] == {"hits": 14, "correct": 8, "positives": 16, "samples": 30}
    best = found["variants"][0]
    assert best["when"]["all"][0] == {"user": ["亮度", "变暗"]}
    assert best["held_out"] == {"hits": 16, "correct": 16}


def test_take_saves_an_edit_in_the_reviewer_s_log_and_the_approval_is_stale(kdsl, shop):
    wanted = json.loads(kdsl("rules", "refine", "r-aaaa", shop, "--format", "json").out)["variants"][0]
    result = kdsl("rules", "refine", "r-aaaa", shop, "--take", 1, "--as", "小王")
    assert result.code == 0 and "`kdsl review` can undo it" in result.out
    taken = rule(shop)
    assert [each.mapping() for each in taken.conditions] == wanted["when"]["all"]
    assert taken.status == "accepted" and taken.stale and taken.notes == "问过客服" and taken.tests.hit == ["s0"]
    [event] = open_store(Project.open(shop)).journal("小王")
    assert (event.action, event.rule) == ("edit", "r-aaaa")


def test_a_variant_that_there_is_not_is_refused_and_nothing_changes(kdsl, shop):
    before = rule(shop)
    result = kdsl("rules", "refine", "r-aaaa", shop, "--take", 9)
    assert result.code == 2 and "--take 9: r-aaaa has no such variant; it has" in result.err
    assert rule(shop) == before


def test_a_rule_that_there_is_not_is_refused(kdsl, shop):
    result = kdsl("rules", "refine", "r-9999", shop)
    assert result.code == 2 and "no rule has the id 'r-9999'" in result.err
