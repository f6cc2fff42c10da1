"""A project for a file that people have: its columns, its labels, its images, and what is left out."""

import json

import pytest

from kdsl.data.columns import Columns
from kdsl.errors import KdslError
from kdsl.project.create_from import create_from, look_at
from kdsl.project.project import Project
from kdsl.yaml_file import read_yaml

ROWS = [
    {
        "编号": f"k{n}",
        "标题": f"第{n}件杯子",
        "描述": "加厚",
        "照片": f"{n}.png",
        "类别": "餐具" if n % 3 else "水杯",
        "价": n,
    }
    for n in range(9)
]


@pytest.fixture
def products(write):
    """A file of records as a shop may have them."""
    return write("products 2026.jsonl", "\n".join(map(json.dumps, ROWS)))


def test_a_project_reads_the_file_by_the_columns_that_were_found(products, tmp_path):
    project = Project.open(create_from(tmp_path / "shop", look_at(products, Columns())))
    samples = project.samples("train")
    assert (samples[1].id, samples[1].label, samples[1].images) == ("k1", "餐具", ("1.png",))
    assert samples[1].turns[0].text == "第1件杯子\n加厚"
    assert project.reading().columns == Columns(("标题", "描述"), "", ("照片",), "类别", "编号")
    assert not project.notes("train").columns  # all is said


def test_labels_become_a_task_file_the_most_frequent_first(products, tmp_path):
    create_from(tmp_path / "shop", look_at(products, Columns()))
    assert (tmp_path / "shop/tasks/products-2026.yaml").read_text("utf-8") == (
        'name: "products-2026"\nlabels:\n'
        '  - {name: "餐具", description: ""}  # 6 samples\n'
        '  - {name: "水杯", description: ""}  # 3 samples\n'
    )


def test_what_is_said_counts(products, tmp_path):
    look = look_at(products, Columns(("描述",), label="标题"))
    assert [sample.turns[0].text for sample in look.first] == ["加厚"] * 3
    assert len(look.labels) == 9
    project = Project.open(create_from(tmp_path / "shop", look, name="names"))
    assert [task.name for task in project.tasks] == ["names"]


def test_a_file_in_the_project_is_named_as_seen_from_it_and_so_are_its_images(write, tmp_path):
    path = write("shop/data/train.jsonl", "\n".join(map(json.dumps, ROWS)))
    (tmp_path / "shop/data/images").mkdir()
    for n in range(6):
        (tmp_path / f"shop/data/images/{n}.png").touch()
    config = create_from(tmp_path / "shop", look_at(path, Columns()))
    data = read_yaml(config).value["data"]
    assert (data["train"], data["images"]) == ("data/train.jsonl", "data/images")


def test_sounds_beside_the_file_are_found_and_get_a_place_for_their_transcripts(write, tmp_path):
    rows = [{"text": f"第{n}句", "label": "ab"[n % 2], "语音": f"{n}.amr"} for n in range(6)]
    path = write("shop/data/train.jsonl", "\n".join(map(json.dumps, rows)))
    (tmp_path / "shop/data/audio").mkdir()
    for n in range(4):
        (tmp_path / f"shop/data/audio/{n}.amr").touch()
    look = look_at(path, Columns())
    assert (look.columns.audio, look.audio[:2]) == (("语音",), ["0.amr", "1.amr"])
    data = read_yaml(create_from(tmp_path / "shop", look)).value["data"]
    assert (data["audio"], data["transcripts"]) == ("data/audio", "data/transcripts.jsonl")
    assert data["columns"] == {"audio": "语音"}
    assert Project.open(tmp_path / "shop").samples()[0].audio == ("0.amr",)


def test_records_that_need_no_columns_have_none_in_the_configuration(write, tmp_path):
    lines = [{"id": str(n), "text": f"第{n}句", "label": "ab"[n % 2]} for n in range(6)]
    config = create_from(tmp_path / "shop", look_at(write("t.jsonl", "\n".join(map(json.dumps, lines))), Columns()))
    assert "columns" not in read_yaml(config).value["data"]


def test_a_column_that_is_not_there_is_told_with_those_that_are(products):
    there = "'价', '描述', '标题', '照片', '类别', '编号'"
    with pytest.raises(KdslError, match=f"there is no column 'colour'; there is {there}"):
        look_at(products, Columns(label="colour"))


def test_without_labels_there_is_no_task(write, tmp_path):
    path = write("t.jsonl", '{"text": "a"}\n{"text": "b"}\n')
    with pytest.raises(KdslError, match="no labels found; name the column of the labels with --label, or a task with"):
        create_from(tmp_path / "shop", look_at(path, Columns()))
    assert not (tmp_path / "shop").exists()
    assert Project.open(create_from(tmp_path / "shop", look_at(path, Columns()), ["mire_intent"])).samples("train")


def test_a_column_of_ids_is_no_label(write):
    path = write("t.jsonl", "\n".join(json.dumps({"text": f"{n}", "label": f"k{n}"}) for n in range(1002)))
    with pytest.raises(KdslError, match="'label' has over 1000 different values, so it is no label; name the column"):
        look_at(path, Columns())


def with_several(n_several):
    """20 labelled samples, of which some have two labels."""
    return [
        {"text": f"第{n}句", "label": ["退款", "质量"] if n < n_several else [["退款"], ["质量"], []][n % 3]}
        for n in range(20)
    ]


def test_where_a_tenth_of_the_samples_have_several_labels_the_task_has_them(write, tmp_path):
    look = look_at(write("t.jsonl", "\n".join(map(json.dumps, with_several(2)))), Columns())
    project = Project.open(create_from(tmp_path / "shop", look))
    [task] = project.tasks
    assert task.multi
    assert look.labels == {"退款": 8, "质量": 8} and look.unlabelled == 0
    assert project.samples("train")[0].labels == ("退款", "质量")
    assert project.samples("train")[2].labels == ()
    assert project.config.prompt.knowledge == 0  # which knows one label a sample


def test_where_fewer_have_it_has_one_and_they_are_counted(write, tmp_path):
    look = look_at(write("t.jsonl", "\n".join(map(json.dumps, with_several(1)))), Columns())
    [task] = Project.open(create_from(tmp_path / "shop", look)).tasks
    assert not task.multi
    [told] = [noted.count for what, noted in look.notes.left_out.items() if what.startswith("samples with several")]
    assert told == 1


def test_the_command_tells_that_labels_come_together(write, tmp_path, kdsl):
    path = write("t.jsonl", "\n".join(map(json.dumps, with_several(5))))
    result = kdsl("init", tmp_path / "shop", "--from", path)
    assert "2 labels, several of them on a sample (`multi: true` in the task file): " in result.out
    assert "退款 + 质量" in result.out and result.code == 0
    assert kdsl("check", tmp_path / "shop").code in (0, 1)


def test_the_command_shows_what_it_takes_and_leaves_out(products, tmp_path, kdsl):
    result = kdsl("init", tmp_path / "shop", "--from", products, "--text", "标题")
    assert result.code == 0
    assert "9 samples, read as a table: '标题' as the text, '照片' as the images, '类别' as the label" in result.out
    assert "2 labels: 餐具 6, 水杯 3" in result.out
    assert "not used: 描述 (9), 价 (9)" in result.out
    assert "images such as '0.png' are not found: set data.images" in result.out
    assert kdsl("check", tmp_path / "shop", "--format", "json").code in (0, 1)


def test_columns_without_a_file_make_no_sense(tmp_path, kdsl):
    result = kdsl("init", tmp_path / "shop", "--label", "类别")
    assert (result.code, "are of --from FILE; give that too" in result.err) == (2, True)
    assert not (tmp_path / "shop").exists()


def test_pictures_in_the_data_and_addresses_are_no_obstacle_and_nothing_is_written_yet(write, tmp_path):
    dot = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    rows = [
        {"text": f"第{n}句", "label": "ab"[n % 2], "image": [dot, "https://shop.example/a.png"][n // 3]}
        for n in range(6)
    ]
    path = write("t.jsonl", "\n".join(map(json.dumps, rows)))
    look = look_at(path, Columns())
    assert [path] == [*tmp_path.iterdir()]
    samples = Project.open(create_from(tmp_path / "shop", look)).samples("train")
    assert [len(sample.images) for sample in samples] == [1, 1, 1, 0, 0, 0]
    assert (tmp_path / "shop/data/images" / samples[0].images[0]).is_file()
