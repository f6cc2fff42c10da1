"""The search of one label, for a Python program: what it finds, and its graph; the rule base stays as it is."""

from pathlib import Path

import pytest
from small_shop import write_project

from kdsl.errors import KdslError
from kdsl.mining.archive import load_archive
from kdsl.mining.miner import MiningSettings
from kdsl.project.label_search import find_label, search_label, trace_label
from kdsl.project.mining import archive_path
from kdsl.project.project import Project
from kdsl.project.rule_reports import lint_rules


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


def test_no_more_rules_are_listed_than_a_label_may_have(project):
    before = search_label(project, "调光")[1]
    project.mine(workers=1)
    after = search_label(project, "调光")[1]
    assert 0 < len(before) <= MiningSettings().most_rules and 0 < len(after) <= MiningSettings().most_rules
    assert all(rule.reliability >= MiningSettings().least_precision for rule in after)


@pytest.mark.parametrize("least", [0.6, 0.8])
def test_the_least_precision_of_the_configuration_reaches_the_list(tmp_path, least):
    folder = write_project(tmp_path / "strict")
    path = folder / "kdsl.yaml"
    path.write_text(path.read_text("utf-8").replace("mining: {", f"mining: {{least_precision: {least}, "), "utf-8")
    project = Project.open(folder)
    project.mine(workers=1)
    task = project.tasks[0]
    reliability = [entry.reliability for entry in project.rule_base(task).statistics().values()]
    assert load_archive(archive_path(project, task)).least_precision == least
    assert reliability and min(reliability) >= least


def test_lint_finds_nothing_in_what_mining_just_wrote(project):
    project.mine(workers=1)
    assert lint_rules(project, project.tasks) == []


def test_the_graph_of_a_search_is_written_into_the_checkpoint(project):
    paths = trace_label(project, "调光")
    assert [path.parent for path in paths] == [project.config.checkpoint] * 2
    assert all(path.name.startswith("trace-调光") for path in paths)


def test_a_label_that_no_task_has_is_told_with_those_like_it(project):
    assert find_label(project, "材质")[1] == 1
    with pytest.raises(KdslError, match=r"no task of the project has the label '材料'; did you mean '材质'"):
        search_label(project, "材料")
