"""What the rules of a project do, for a Python program."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.project.rule_reports import (
    changed_rules,
    chosen_rules,
    lint_rules,
    rule_of,
    run_rule_tests,
    summarise_rules,
    training_hits,
)
from kdsl.rules.records import hit_records, rule_records
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase

SAID = {"s0": ("我要退款", "退款"), "s1": ("退款还是换货", "换货"), "s2": ("换一件", "换货"), "s3": ("你好", "退款")}


@pytest.fixture
def project(tmp_path) -> Project:
    """Four labelled dialogues; a rule of a person with tests, and one that somebody rejected."""
    (tmp_path / "returns.yaml").write_text("name: returns\nlabels: [{name: 退款}, {name: 换货}]\n", "utf-8")
    (tmp_path / "kdsl.yaml").write_text("tasks: [returns.yaml]\ndata: {train: train.jsonl}\n")
    records = [{"id": id, "text": text, "label": label} for id, (text, label) in SAID.items()]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    base = RuleBase(tmp_path / "rules", "returns")
    base.save(rule("r-back", "退款", "退款", tests={"hit": ["s0"], "miss": ["s1"]}))
    base.save(rule("r-swap", "换货", "换", status="rejected"))
    return Project.open(tmp_path)


def rule(id: str, label: str, term: str, **fields: object) -> Rule:
    return Rule(id=id, label=label, when={"all": [{"user": [term]}]}, **fields)


def ids(project: Project, **filters: str) -> list[str]:
    return [each.id for _, rules in chosen_rules(project, project.tasks, **filters) for each in rules]


def test_rules_are_chosen_by_label_and_status(project):
    assert ids(project) == ["r-swap", "r-back"]
    assert ids(project, label="退款") == ids(project, status="proposed") == ["r-back"]
    assert ids(project, label="退款", status="rejected") == []


def test_a_rule_is_found_with_its_task_and_its_hits(project):
    task, found = rule_of(project, "r-back")
    hits = training_hits(project, task, found)
    assert [(each["sample"], each["correct"]) for each in hit_records(found, hits)] == [("s0", True), ("s1", False)]
    several = [replace(sample, label=None, labels=("退款", "换货")) for sample, _ in hits]
    marked = hit_records(found, list(zip(several, [hit for _, hit in hits], strict=True)))
    assert [each["correct"] for each in marked] == [True, True]
    [record] = rule_records(project.rule_base(task), [found])
    assert (record["task"], record["words"]) == ("returns", "user has 退款 → 退款")
    assert (record["statistics"], Path(record["file"]).exists()) == (None, True)


def test_an_unknown_id_is_an_error(project):
    with pytest.raises(KdslError, match="no rule has the id 'r-none'"):
        rule_of(project, "r-none")


def test_tests_in_rule_files_are_run_on_the_training_samples(project):
    assert [outcome.record() for outcome in run_rule_tests(project, project.tasks)] == [
        {"rule": "r-back", "sample": "s0", "expected": "hit", "actual": "hit", "passed": True},
        {"rule": "r-back", "sample": "s1", "expected": "miss", "actual": "hit", "passed": False},
    ]
    assert "forbidden hit" in {finding.check for finding in lint_rules(project, project.tasks)}


def test_rules_are_counted_on_the_training_samples(project):
    [(base, rules)] = chosen_rules(project, project.tasks, label="退款")
    [row] = summarise_rules(project, base, rules)
    assert row.record() == {
        "id": "r-back", "label": "退款", "status": "proposed", "hits": 2, "coverage": 0.5, "overlaps": 0.0,
        "conflicts": 0.0, "correct": 1, "incorrect": 1, "precision": 0.5,
    }  # fmt: skip


def test_changes_are_told_against_another_folder(project, tmp_path):
    other = RuleBase(tmp_path / "other", "returns")
    other.save(rule("r-swap", "换货", "换"))
    found = changed_rules(project, project.tasks, str(other.folder))
    assert [(each.id, each.kind) for each in found["returns"]] == [("r-back", "added"), ("r-swap", "changed")]
    record = found["returns"][1].record()
    assert (record["details"], record["old"]["status"]) == (["status: proposed → rejected"], "proposed")
