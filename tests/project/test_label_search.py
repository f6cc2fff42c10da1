"""The search of one label, for a Python program: what it finds, and its graph; the rule base stays as it is."""

from pathlib import Path

import pytest
from small_shop import write_project

from kdsl.errors import KdslError
from kdsl.project.label_search import find_label, search_label, trace_label
from kdsl.project.project import Project


@pytest.fixture
def project(tmp_path) -> Project:
    return Project.open(write_project(tmp_path / "shop"))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_rules_of_one_label_are_listed_and_nothing_is_written(project):
    before = files(project.config.folder)
    task, rules = search_label(project, "调光")
    assert task.name == "shop"
    assert any("亮度" in rule.rule for rule in rules) and len(rules) <= 8
    assert all(rule.correct <= rule.hits and rule.reliability is None for rule in rules)
    assert list(rules[0].record()) == ["rule", "hits", "correct", "reliability"]
    assert files(project.config.folder) == before


def test_after_mining_the_most_reliable_come_first(project):
    project.mine(workers=1)
    _, rules = search_label(project, "调光")
    found = [rule.reliability for rule in rules]
    assert found and None not in found and found == sorted(found, reverse=True)


def test_the_graph_of_a_search_is_written_into_the_checkpoint(project):
    paths = trace_label(project, "调光")
    assert [path.parent for path in paths] == [project.config.checkpoint] * 2
    assert all(path.name.startswith("trace-调光") for path in paths)


def test_a_label_that_no_task_has_is_told_with_those_like_it(project):
    assert find_label(project, "材质")[1] == 1
    with pytest.raises(KdslError, match=r"no task of the project has the label '材料'; did you mean '材质'"):
        search_label(project, "材料")
