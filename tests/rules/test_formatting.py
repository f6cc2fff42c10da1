"""Formatting rule files from Python: what is rewritten, what would be, and what is left out."""

import pytest

from kdsl.rules.formatting import format_rule_files
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase


@pytest.fixture
def base(tmp_path) -> RuleBase:
    """Two rules, of which a person wrote one by hand."""
    base = RuleBase(tmp_path / "rules", "returns")
    for number, label in enumerate(("退款", "换货")):
        base.save(Rule(id=f"r-000{number}", label=label, when={"all": [{"user": [label]}]}))
    path = base.path(base.get("r-0000"))
    path.write_text("# 手写\n" + path.read_text("utf-8").replace('label: "退款"', "label: 退款"), "utf-8")
    return base


def test_files_that_are_not_in_the_one_form_are_rewritten_and_comments_stay(base):
    path = base.path(base.get("r-0000"))
    told = []
    found = format_rule_files(base.folder, ["returns"], tell=told.append)
    assert (found.files, found.changed, told, found.left_out) == (2, [path], [path], {})
    assert path.read_text("utf-8").startswith("# 手写\n")
    assert format_rule_files(base.folder, ["returns"]).changed == []


def test_a_check_writes_nothing(base):
    path = base.path(base.get("r-0000"))
    before = path.read_bytes()
    assert format_rule_files(base.folder, ["returns"], check=True).changed == [path]
    assert path.read_bytes() == before


def test_a_file_that_is_no_rule_is_left_out_with_the_reason(base):
    path = base.folder / "returns" / "broken--r-0009.yaml"
    path.write_text("label: [\n", "utf-8")
    found = format_rule_files(base.folder, ["returns"])
    assert found.files == 2
    [(left, sentence)] = found.left_out.items()
    assert left == path and sentence.startswith(f"{path}, line ")
