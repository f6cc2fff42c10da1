"""The rule base on disk: nothing a person decided is lost."""

import pytest

from kdsl.errors import KdslError
from kdsl.rules.rule import Rule, rule_id
from kdsl.rules.rulebase import RuleBase

TASK = "returns"


def mined(*terms, label="退款", **changes) -> Rule:
    rule = Rule(id="r-0000", label=label, when={"all": [{"user": list(terms)}]}, provenance={"source": "mcts"})
    return rule.model_copy(update={"id": rule_id(TASK, label, rule.conditions), **changes})


@pytest.fixture
def base(tmp_path):
    return RuleBase(tmp_path, TASK)


def reloaded(base: RuleBase) -> list[Rule]:
    return RuleBase.load(base.folder, base.task).rules


def test_rules_are_found_again_by_label_and_status(base):
    one, two, three = mined("退"), mined("换", label="换货"), mined("钱", status="accepted")
    for rule in (one, two, three):
        base.save(rule)
    again = RuleBase.load(base.folder, TASK)
    assert again.rules == base.rules and len(again.rules) == 3
    assert again.by_label("换货") == [two]
    assert again.active(["accepted"]) == [three]
    assert again.get(two.id) == two
    assert again.statistics() == {}


def test_a_missing_folder_is_an_empty_rule_base(tmp_path):
    assert RuleBase.load(tmp_path / "none", TASK).rules == []


def test_files_have_readable_names_and_safe_folders(base):
    rule = mined("退款 #1/2", label="账单/账户页面")
    base.save(rule)
    assert base.path(rule) == base.folder / TASK / "账单%2F账户页面" / f"退款-1-2--{rule.id}.yaml"
    assert reloaded(base) == [rule]


def test_an_edited_rule_stays_in_its_file(base):
    rule = mined("退")
    base.save(rule)
    path = base.path(rule)
    path.write_text(path.read_text("utf-8").replace("status: proposed", "status: proposed  # look again"), "utf-8")
    again = RuleBase.load(base.folder, TASK)
    edited = rule.model_copy(update={"when": mined("别的").when, "label": "换货"})
    again.save(edited)
    assert again.path(edited) == path
    assert "# look again" in path.read_text("utf-8")
    assert reloaded(base) == [edited]


def test_removing_the_last_rule_of_a_label_removes_its_folder(base):
    rule = mined("退")
    base.save(rule)
    base.remove(rule)
    assert reloaded(base) == []
    assert list((base.folder / TASK).iterdir()) == []
    with pytest.raises(KdslError, match=f"no rule has the id '{rule.id}'"):
        base.remove(rule)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / TASK).write_text("a file where the folder should be")
    with pytest.raises(KdslError, match=r"cannot be written .*; choose a folder that you may write to"):
        RuleBase(tmp_path, TASK).save(mined("退"))


def test_mining_again_replaces_only_what_nobody_touched(base):
    first = [mined("退"), mined("钱"), mined("换")]
    report = base.update_mined(first)
    assert (len(report.added), report.kept, report.removed) == (3, (), ())
    report = base.update_mined([mined("钱"), mined("新")])
    assert report.added == (mined("新"),)
    assert report.kept == (mined("钱"),)
    assert {rule.id for rule in report.removed} == {mined("退").id, mined("换").id}
    assert {rule.id for rule in reloaded(base)} == {mined("钱").id, mined("新").id}


def test_the_same_rules_again_change_no_file(base):
    base.update_mined([mined("退"), mined("钱")])
    before = {path: path.stat().st_mtime_ns for path in base.folder.rglob("*.yaml")}
    report = base.update_mined(
        [mined("退", provenance=mined("退").provenance.model_copy(update={"run": "later"})), mined("钱")]
    )
    assert report.added == report.removed == ()
    assert before == {path: path.stat().st_mtime_ns for path in base.folder.rglob("*.yaml")}


@pytest.mark.parametrize(
    "touch",
    [
        {"status": "accepted"},
        {"status": "disabled"},
        {"status": "rejected"},
        {"notes": "hm"},
        {"review": mined("退").review.model_copy(update={"by": "me"})},
        {"tests": mined("退").tests.model_copy(update={"hit": ["1"]})},
        {"when": mined("退", "款").when},
        {"label": "换货"},
        {"provenance": mined("退").provenance.model_copy(update={"source": "person"})},
    ],
)
def test_what_a_person_touched_stays(base, touch):
    rule = mined("退").model_copy(update=touch)
    base.save(rule)
    report = RuleBase.load(base.folder, TASK).update_mined([mined("新")])
    assert report.kept == (rule,) and report.removed == ()
    assert rule in reloaded(base)


def test_a_comment_in_the_file_counts_as_touched(base):
    rule = mined("退")
    base.save(rule)
    path = base.path(rule)
    path.write_text("# why not?\n" + path.read_text("utf-8"), "utf-8")
    assert RuleBase.load(base.folder, TASK).update_mined([]).removed == ()


def test_a_hash_sign_in_a_term_is_no_comment(base):
    base.save(mined("退 #1"))
    assert len(base.update_mined([]).removed) == 1


def test_a_rejected_rule_is_not_proposed_again(base):
    base.save(mined("退", status="rejected"))
    report = base.update_mined([mined("退"), mined("退", label="换货")])
    assert [rule.label for rule in report.added] == ["换货"]
    assert {rule.status for rule in base.by_label("退款")} == {"rejected"}


def test_an_edited_rule_stands_for_the_form_it_was_found_in(base):
    edited = mined("退", when=mined("退", "款").when)
    base.save(edited)
    report = base.update_mined([mined("退")])
    assert report.added == () and report.kept == (edited,)
    assert reloaded(base) == [edited]


def test_rules_of_another_task_are_not_touched(base):
    other = RuleBase(base.folder, "other")
    other.save(mined("退"))
    base.update_mined([mined("新")])
    assert reloaded(other) == [mined("退")]
