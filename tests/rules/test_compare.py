"""What changed between two versions of a rule base."""

import subprocess

import pytest

from kdsl.errors import KdslError
from kdsl.rules.compare import compare, rules_at_revision
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase


def rule(number: int, *terms: str, **fields) -> Rule:
    return Rule(id=f"r-{number:04d}", when={"all": [{"user": list(terms)}]}, **{"label": "退款", **fields})


def test_rules_added_removed_and_changed():
    old = [rule(1, "退"), rule(2, "钱"), rule(3, "换"), rule(4, "同", notes="a")]
    new = [
        rule(2, "钱", status="accepted"),
        rule(3, "换", "货", label="换货"),
        rule(4, " 同", notes="b"),
        rule(5, "新"),
    ]
    assert [(change.id, change.kind, tuple(map(str, change.details))) for change in compare(old, new)] == [
        ("r-0001", "removed", ()),
        ("r-0002", "changed", ("status: proposed → accepted",)),
        ("r-0003", "changed", ("label: 退款 → 换货", "- user has 换", "+ user has 换|货")),
        ("r-0005", "added", ()),
    ]


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("config", "user.email", "a@b.c")
    git("config", "user.name", "a")
    base = RuleBase(tmp_path / "deep" / "rules", "returns")
    base.save(rule(1, "退", label="账单/账户"))
    git("add", ".")
    git("commit", "-qm", "one")
    return base


def test_the_rule_base_of_a_git_revision(repository):
    before = repository.rules
    repository.save(rule(2, "新"))
    repository.remove(before[0])
    with rules_at_revision(repository.folder, "HEAD") as folder:
        assert RuleBase.load(folder, "returns").rules == before


def test_a_revision_without_the_folder_is_an_empty_rule_base(repository):
    other = repository.folder.parent / "others"
    other.mkdir()
    with rules_at_revision(other, "HEAD") as folder:
        assert RuleBase.load(folder, "returns").rules == []


def test_what_is_no_revision_is_told(repository, tmp_path):
    for revision in ("nonsense", "--help"):
        with (
            pytest.raises(KdslError, match=f"'{revision}' is neither a folder nor a"),
            rules_at_revision(repository.folder, revision),
        ):
            pass
