"""Task files: the two that ship, and what is refused."""

import json

import pytest

from kdsl.errors import KdslError
from kdsl.sample import Label
from kdsl.tasks import load_task, task_text


@pytest.mark.parametrize(("name", "first", "last"), [("mire_intent", "反馈密封性不好", "气泡"),
                                                    ("mire_scene", "实物拍摄(含售后)", "其他类别图片")])  # fmt: skip
def test_the_mire_tasks_ship_with_described_labels(name, first, last, tmp_path):
    task = load_task(name, tmp_path)
    assert task.name == name
    assert len(task.labels) == 23
    assert (task.label_names[0], task.label_names[-1]) == (first, last)
    assert all(label.description for label in task.labels)


def test_the_intent_prompt_has_both_placeholders_and_the_dialogue_markers(tmp_path):
    prompt = load_task("mire_intent", tmp_path).prompt
    assert "<用户与客服的对话 START>\n{dialogue}\n<用户与客服的对话 END>\n" in prompt
    assert prompt.endswith("分类标签为：{labels}\n")


def test_the_scene_prompt_lists_the_two_withdrawn_labels_that_the_task_leaves_out(tmp_path):
    task = load_task("mire_scene", tmp_path)
    assert task.prompt.startswith("Picture 1: <image>\n你是")
    for withdrawn in ("消费者与客服聊天页面", "个人信息页面"):
        assert f'"{withdrawn}"' in task.prompt
        assert withdrawn not in task.label_names
    assert all(f'"{name}"' in task.prompt for name in task.label_names)


def test_a_task_file_is_found_relative_to_the_project(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nlabels:\n  - {name: 退款, description: 要钱}\n  - name: 换货\n", "utf-8"
    )
    task = load_task("mine.yaml", tmp_path)
    assert task.label_names == ("退款", "换货")
    assert (task.labels[0].description, task.labels[1].description, task.prompt) == ("要钱", "", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: [{name: a}, {name: b}]\n", "the key 'name' is missing"),
        ("name: t\n", "the key 'labels' is missing"),
        ("name: t\nlabels: [{name: a}]\n", "line 2: labels has 1 items; it must have at least 2"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: a}\n", "line 2: labels: the label 'a' is listed twice"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: ''}\n", "line 4: labels.2.name: is empty"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: 3}\n", "line 4: labels.2.name is 3; it must be text"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: 'b '}\n", "line 4: labels.2.name: 'b ' begins or ends"),
        ("name: t\nlabels:\n  - a\n  - [b]\n", "line 4: labels.2 is .'b'.; it must be a mapping"),
        ("name: t\nlabels: [a, a]\n", "line 2: labels: the label 'a' is listed twice"),
        ("name: t\nlabels:\n  - {name: a}\n  - {nam: b}\n", "line 4: unknown key 'labels.2.nam'; did you"),
        ("name: a/b\nlabels: [{name: a}, {name: b}]\n", "line 1: name: 'a/b' names a folder"),
        ("name: ''\nlabels: [{name: a}, {name: b}]\n", "line 1: name: is empty"),
        ("name: CON\nlabels: [{name: a}, {name: b}]\n", "line 1: name: 'CON' names a folder of rules too, which"),
        ("name: Reviews\nlabels: [{name: a}, {name: b}]\n", "line 1: name: 'Reviews' names a folder"),
        (f"name: {'n' * 101}\nlabels: [{{name: a}}, {{name: b}}]\n", "line 1: name: 'nnn.* names a folder"),
        ('name: t\nlabels:\n  - {name: a}\n  - {name: "b\\u2028"}\n', "line 4: .* holds a line break"),
        ('name: t\nlabels:\n  - {name: a}\n  - {name: "b\\e[1m"}\n', r"line 4: .* holds '\\x1b', which is no text"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: <image>}\n", "line 4: .* holds <image>, which stands for"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: <audio>}\n", "line 4: .* holds <audio>, which stands for"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: “b”}\n", "line 4: name: the quotation marks of “b” are text"),
        ("name: t\nlabels:\n  - {name: a}\n  - {name: @b}\n", "line 4: text that begins with a sign such as @"),
        ("name: t\nlabels:\n  - name: a\n\u3000\u3000description: x\n", r"line 4: begins with '\\u3000', which"),
        ("name：t\nlabels: [{name: a}, {name: b}]\n", "line 1: full-width colon after 'name'"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_and_line(text, message, tmp_path):
    (tmp_path / "t.yaml").write_text(text, "utf-8")
    with pytest.raises(KdslError, match=message) as error:
        load_task("t.yaml", tmp_path)
    assert str(error.value).startswith(str(tmp_path / "t.yaml"))


def test_an_unknown_task_lists_the_shipped_ones(tmp_path):
    with pytest.raises(
        KdslError, match=r"task 'mire': .* is no file; name a shipped task \(mire_intent, mire_scene\)"
    ):
        load_task("mire", tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/x",
        "a/b",
        "a\\b",
        "..",
        ".x",
        "a:b",
        "x.",
        "长" * 100,
        "reviews",
        "Reviews",
        "large",
        "evaluation",
    ],
)
def test_a_name_that_can_be_no_folder_of_its_own_is_refused(tmp_path, name):
    text = f"name: {json.dumps(name)}\nlabels: [{{name: a}}, {{name: b}}]\n"
    (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(KdslError, match=r"line 1: name: .*names a folder (of rules too|that KDSL makes itself)"):
        load_task("t.yaml", tmp_path)


def test_half_a_character_is_refused(tmp_path):
    (tmp_path / "t.yaml").write_text('name: t\nlabels: [{name: "\\ud800"}, {name: b}]\n', encoding="utf-8")
    with pytest.raises(KdslError, match=r"t\.yaml, line 2: 'name' holds half a character; remove it"):
        load_task("t.yaml", tmp_path)


def test_a_task_file_says_whether_a_sample_may_have_several_labels(write):
    labels = "labels:\n  - {name: 退款}\n  - {name: 尺码}\n"
    one = load_task(write("one.yaml", f"name: shop\n{labels}"))
    several = load_task(write("several.yaml", f"name: shop\nmulti: true\n{labels}"))
    assert (one.multi, several.multi) == (False, True)
    for task in (one, several):
        assert load_task(write("again.yaml", task_text(task))) == task
    with pytest.raises(KdslError, match=r"several\.yaml, line 2: multi is 'yes, please'"):
        load_task(write("several.yaml", f"name: shop\nmulti: yes, please\n{labels}"))
    with pytest.raises(KdslError, match="`other` and `multi: true` exclude each other"):
        load_task(write("both.yaml", f"name: shop\nmulti: true\nother: 别的\n{labels}"))


def test_a_label_may_be_its_name_alone(write):
    task = load_task(write("t.yaml", "name: t\nlabels: [退款, 3, {name: 换货, description: 换一件}]\n"))
    assert task.labels == (Label("退款"), Label("3"), Label("换货", "换一件"))
