"""kdsl prompt: what a large model is shown about a sample, to be looked at before anything is trained."""

import json

import pytest

TASK = """\
name: shop
labels:
  - {name: 能否调光, description: 咨询亮度是否可以调节}
  - {name: 商品材质, description: 咨询是什么面料}
prompt: "判断意图。\\n{dialogue}\\n标签：{labels}"
"""
TEXTS = {
    "a": ("这盏灯的亮度能调吗", "能否调光"),
    "b": ("灯光的亮度可以调暗一点吗", "能否调光"),
    "c": ("这件衬衫是纯棉的吗", "商品材质"),
    "d": ("面料里面含不含羊毛", "商品材质"),
}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "shop.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "train.jsonl").write_text(
        "".join(
            json.dumps({"id": name, "task": "shop", "text": text, "label": label}, ensure_ascii=False) + "\n"
            for name, (text, label) in TEXTS.items()
        ),
        encoding="utf-8",
    )
    (tmp_path / "kdsl.yaml").write_text("tasks: [shop.yaml]\ndata: {train: train.jsonl}\n", encoding="utf-8")
    return tmp_path


def test_without_anything_added_it_is_the_task_s_prompt(kdsl, project):
    result = kdsl("prompt", project, "--sample", "a")
    assert result.code == 0, result.err
    assert result.out == '判断意图。\n用户: 这盏灯的亮度能调吗\n标签：["能否调光","商品材质"]\n'


def test_near_samples_and_passages_are_shown_but_never_the_sample_itself(kdsl, project):
    result = kdsl("prompt", project, "--sample", "a", "prompt.neighbours=1", "prompt.knowledge=1")
    assert result.code == 0, result.err
    assert "相似的样本：用户：灯光的亮度可以调暗一点吗\n它的分类标签：能否调光\n" in result.out
    assert "参考知识：能否调光" in result.out
    assert result.out.count("这盏灯的亮度能调吗") == 1


def test_a_sample_that_is_not_there_is_named(kdsl, project):
    result = kdsl("prompt", project, "--sample", "x")
    assert result.code == 2
    assert "train.jsonl: no sample has the id 'x'; name one with --sample ID, such as 'a'" in result.err


def test_an_id_of_two_tasks_does_not_say_which_is_meant(kdsl, project):
    (project / "other.yaml").write_text(TASK.replace("name: shop", "name: other"), encoding="utf-8")
    with (project / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": "a", "task": "other", "text": "另一个", "label": "商品材质"}) + "\n")
    both = f"tasks=[{project}/shop.yaml, {project}/other.yaml]"
    result = kdsl("prompt", project, "--sample", "a", both)
    assert result.code == 2
    assert "samples of shop and other have the id 'a'; leave one task with tasks=[TASK]" in result.err
    assert "另一个" in kdsl("prompt", project, "--sample", "a", f"tasks=[{project}/other.yaml]").out


def test_a_sample_that_is_numbered_like_a_training_sample_is_shown_it(kdsl, project):
    """Two files may number their samples alike: an id says nothing about the other file."""
    line = json.dumps({"id": "a", "text": "请问这盏灯的亮度可以调吗谢谢"}, ensure_ascii=False)
    (project / "test.jsonl").write_text(line + "\n", encoding="utf-8")
    result = kdsl("prompt", project, "--sample", "a", "--input", project / "test.jsonl", "prompt.neighbours=1")
    assert "相似的样本：用户：这盏灯的亮度能调吗\n它的分类标签：能否调光\n" in result.out


def test_text_on_images_that_nobody_read_is_told(kdsl, project, caplog):
    line = json.dumps({"id": "e", "task": "shop", "text": "", "label": "商品材质", "images": ["e.png"]})
    with (project / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    images = f"data.images={project}"
    unset = kdsl("prompt", project, "--sample", "a", images, "prompt.ocr=true")
    assert "prompt.ocr: data.ocr is not set, so no text is known; name the file, and call project.ocr()" in caplog.text
    unread = kdsl("prompt", project, "--sample", "a", images, "prompt.ocr=true", f"data.ocr={project}/ocr.jsonl")
    assert "ocr.jsonl: 1 of 1 images of the training samples are not there" in caplog.text
    assert (unset.code, unread.code) == (0, 0)


def test_neighbours_that_a_model_would_find_are_told_to_be_others(kdsl, project, caplog):
    assert kdsl("prompt", project, "--sample", "a", "prompt.neighbours=1", "prompt.embeddings=model").code == 0
    assert "as no model is loaded, texts make neighbours here" in caplog.text


def test_an_answer_that_is_left_out_is_not_shown(kdsl, project):
    turns = [{"role": "user", "text": "能退吗"}, {"role": "agent", "text": "可以退的"}]
    with (project / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": "e", "task": "shop", "turns": turns, "label": "商品材质"}) + "\n")
    assert "客服: 可以退的\n" in kdsl("prompt", project, "--sample", "e").out
    result = kdsl("prompt", project, "--sample", "e", "fields.last_agent=false", "prompt.neighbours=1")
    assert result.code == 0, result.err
    assert "用户: 能退吗\n标签" in result.out and "可以退的" not in result.out


def test_a_model_that_is_not_here_is_taken_for_one_that_sees(kdsl, project, caplog):
    """So that prompts can be looked at before the weights are fetched."""
    record = {
        "id": "v",
        "task": "shop",
        "turns": [{"role": "user", "text": "听", "images": ["a.png"], "audio": ["a.wav"]}],
    }
    (project / "train.jsonl").write_text(json.dumps(record | {"label": "能否调光"}) + "\n", encoding="utf-8")
    (project / "images").mkdir()
    folders = [f"data.images={project}/images", f"data.audio={project}/audio"]
    result = kdsl("prompt", project, "--sample", "v", f"large={project}/nowhere", *folders)
    assert result.code == 0, result.err
    assert f"用户: 听[picture: {project}/images/a.png]\n标签" in result.out
    assert "nowhere: no such model directory" in caplog.text
    assert "shown is what a model that sees and does not hear is asked" in caplog.text
