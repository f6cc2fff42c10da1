"""A new project: shipped tasks, task files and task objects, and nothing that exists is touched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.config import load_config
from kdsl.errors import KdslError
from kdsl.project.create import create_project
from kdsl.project.project import Project
from kdsl.sample import Label, Task
from kdsl.tasks import load_task, task_text

RETURNS = Task("returns", (Label("退款", "用户要求退钱"), Label("换货")), "选一个：{labels}\n{dialogue}")


def test_task_objects_become_files_that_say_the_same(tmp_path):
    project = Project.create(tmp_path / "新店", ["mire_intent", RETURNS])
    assert [task.name for task in project.tasks] == ["mire_intent", "returns"]
    assert project.tasks[1] == RETURNS
    assert project.config.tasks == ["mire_intent", "tasks/returns.yaml"]


def test_task_files_are_named_as_seen_from_the_project(tmp_path, monkeypatch):
    (tmp_path / "shop" / "tasks").mkdir(parents=True)
    for name in ("shop/tasks/own", "elsewhere"):
        (tmp_path / f"{name}.yaml").write_text(task_text(Task(name[-3:], RETURNS.labels)), "utf-8")
    monkeypatch.chdir(tmp_path)
    config = create_project(tmp_path / "shop", ["shop/tasks/own.yaml", tmp_path / "elsewhere.yaml"])
    assert load_config(config).tasks == ["tasks/own.yaml", str(tmp_path / "elsewhere.yaml")]
    assert [task.name for task in Project.open(config).tasks] == ["own", "ere"]


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ([], "tasks=[]: must be a list with at least one task, such as ['mire_intent']"),
        ("mire_intent", "tasks='mire_intent': must be a list"),
        (RETURNS, "must be a list with at least one task"),
        (5, "tasks=5: must be a list with at least one task"),
        ([Task("own", ("退款", "换货"))], "task 'own': labels is ('退款', '换货'); it must be a tuple of kdsl.Label"),
        ([Task("own", None)], "task 'own': labels is None; it must be"),
        ([3], "tasks: 3 is no task; give a shipped task's name, a task file or a kdsl.Task"),
        (["mire_inten"], "task 'mire_inten': mire_inten is no file; name a shipped task"),
        ([RETURNS, RETURNS], "tasks: two tasks have the name 'returns'; give each task a name of its own"),
        ([Task("a/b", RETURNS.labels)], "task 'a/b': name: 'a/b' names a folder"),
        ([Task("one", (Label("退款"),))], "task 'one': labels has 1 items; it must have at least 2"),
        ([Task("two", (Label("退款"), Label("退款")))], "task 'two': labels: the label '退款' is listed twice"),
    ],
)
def test_what_is_no_task_is_one_sentence_and_nothing_is_written(tmp_path, tasks, sentence):
    with pytest.raises(KdslError) as caught:
        create_project(tmp_path / "new", tasks)
    assert sentence in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_where_no_folder_can_be_is_one_sentence_and_nothing_is_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine", "utf-8")
    with pytest.raises(KdslError, match=r"file/shop: cannot be written \(.*\); choose another folder"):
        create_project(file / "shop", [RETURNS])
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_that_exists_is_touched(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "returns.yaml").write_text("mine", "utf-8")
    with pytest.raises(KdslError, match=r"returns\.yaml exists already; name that file in `tasks`"):
        create_project(tmp_path, [RETURNS])
    assert [path.name for path in tmp_path.iterdir()] == ["tasks"]
    create_project(tmp_path)
    with pytest.raises(KdslError, match="exists already; choose another folder, or edit that file"):
        create_project(tmp_path)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = texts.map(str.strip).filter(lambda text: text.isprintable() and text and "<image>" not in text)


@given(st.lists(st.builds(Label, names, texts), min_size=2, max_size=5, unique_by=lambda label: label.name), texts)
def test_any_task_is_read_as_it_was_written(tmp_path_factory, labels, prompt):
    task = Task("shop", tuple(labels), prompt)
    path = tmp_path_factory.mktemp("task") / "task.yaml"
    path.write_text(task_text(task), encoding="utf-8", newline="")
    assert load_task("task.yaml", path.parent) == task


def test_the_entries_of_kdsl_yaml_are_quoted_where_yaml_needs_it(tmp_path):
    path = tmp_path / 'a "b": c, 店.yaml'
    path.write_text(task_text(RETURNS), "utf-8")
    config = create_project(tmp_path / "new", [path])
    assert load_config(config).tasks == [str(path)]
    assert json.dumps(str(path), ensure_ascii=False) in config.read_text("utf-8")
