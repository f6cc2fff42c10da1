from pathlib import Path

import pytest
from rule_files import LABELS, TASK, rule, rule_base

from kdsl.review import decisions
from kdsl.review.exchange import csv_table, markdown
from kdsl.review.store import RuleStore


@pytest.fixture
def store(tmp_path: Path) -> RuleStore:
    rule_base(tmp_path / "rules")
    return RuleStore(tmp_path / "rules", [TASK])


def test_rules_are_told_in_words_of_either_language(store):
    assert "last user turn contains" in csv_table(store) and "用户最后一句含" in csv_table(store, "zh")
    assert "用户最后一句含" in markdown(store, "zh")


@pytest.mark.parametrize("notes", ["=1+1", "@me", "007", "1-2", "3月5日", "TRUE", "1e5", "'quoted"])
def test_no_cell_is_run_or_converted_by_a_spreadsheet(store, notes):
    each = store.rules(TASK)[0]
    decisions.note(store, "小王", TASK, each.rule.id, each.version, notes)
    assert f",'{notes}," in csv_table(store)
    assert all(line.rpartition(",")[2].startswith("v") for line in csv_table(store).splitlines())


def test_markdown_shows_markup_as_text(tmp_path):
    base = rule_base(tmp_path / "rules")
    base.save(rule(LABELS[0], {"user": ["<b>|x|</b>"]}))
    text = markdown(RuleStore(tmp_path / "rules", [TASK]))
    assert f"### {LABELS[0]}" in text and r"\<b\>\|x\|\</b\>" in text
