"""kdsl reasons --import: reasons made elsewhere are checked, thinned and taken over; what is left out is told."""

import json

import pytest
from small_shop import read, write, write_project

ALIKE = "用户说灯光{}，想知道能不能自己调节灯光的亮度和颜色"


@pytest.fixture
def shop(tmp_path):
    """Labels in turn: 调光, 材质, 物流."""
    folder = write_project(tmp_path / "project")
    records = read(folder / "train.jsonl")
    for number, record in enumerate(records):
        record["id"] = f"s{number}"
    write(folder / "train.jsonl", records)
    return folder


def bring(kdsl, shop, lines, *options):
    return kdsl(
        "reasons",
        shop,
        "data.reasons=" + str(shop / "reasons.jsonl"),
        "--import",
        write(shop / "in.jsonl", lines),
        *options,
    )


def test_good_reasons_are_taken_over_as_they_are(kdsl, shop):
    result = bring(kdsl, shop, [{"id": "s0", "reason": "用戶問燈光能不能變暗。", "model": "m"}])
    assert (result.code, "1 of 1 reasons added" in result.out) == (0, True)
    [line] = read(shop / "reasons.jsonl")
    assert line == {"id": "s0", "task": "shop", "label": "调光", "reason": "用戶問燈光能不能變暗。", "model": "m"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"id": "s99", "reason": "问亮度"}, "s99: no such sample: no labelled training sample has this id"),
        ({"id": "s99", "task": "shop", "reason": "问亮度"}, "s99: no such sample: no labelled training sample of"),
        ({"id": "s0", "reason": "问的是材質"}, "s0: another label: names 材质 and not its own label 调光"),
        ({"id": "s0", "reason": "不是調光"}, "s0: another label: rules out its own label 调光"),
        ({"id": "s0", "reason": "调光。"}, "s0: empty: it says nothing besides the label"),
        ({"id": "s0", "reason": "问亮度", "label": "物流"}, "s0: another label: is a reason for 物流, but the"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_left_out_and_told(kdsl, shop, line, why):
    result = bring(kdsl, shop, [line])
    assert result.code == 1
    assert f"in.jsonl, line 1: {why}" in result.out
    assert read(shop / "reasons.jsonl") == []


def test_near_identical_reasons_and_repeated_ids_are_counted(kdsl, shop):
    lines = [{"id": f"s{3 * i}", "reason": ALIKE.format(word)} for i, word in enumerate(("暗", "很暗", "太暗"))]
    lines += [{"id": "s0", "reason": "再说一次亮度的问题"}, {"id": "s1", "reason": "问面料是不是棉麻"}]
    result = bring(kdsl, shop, lines, "--format", "json")
    outcome = json.loads(result.out)
    assert (outcome["added"], outcome["thinned"], outcome["problems"]) == (2, 2, 1)
    assert [(line["line"], line["why"]) for line in outcome["left_out"]] == [
        (2, "thinned"), (3, "thinned"), (4, "repeated"),
    ]  # fmt: skip
    assert [line["id"] for line in read(shop / "reasons.jsonl")] == ["s0", "s1"]


def test_a_second_import_keeps_what_people_wrote(kdsl, shop):
    lines = [{"id": "s0", "reason": "灯光太暗"}, {"id": "s1", "reason": "问面料"}]
    bring(kdsl, shop, lines)
    written = [{**line, "reason": "由人改写"} for line in read(shop / "reasons.jsonl")]
    write(shop / "reasons.jsonl", written)
    result = bring(kdsl, shop, lines)
    assert "0 of 2 reasons added, 2 were there" in result.out
    assert read(shop / "reasons.jsonl") == written


def test_ids_of_two_tasks_need_the_task(kdsl, shop):
    (shop / "other.yaml").write_text("name: other\nlabels: [{name: 甲}, {name: 乙}]\n", "utf-8")
    config = (shop / "kdsl.yaml").read_text("utf-8").replace("[task.yaml]", "[task.yaml, other.yaml]")
    (shop / "kdsl.yaml").write_text(config, "utf-8")
    records = [{**record, "task": "shop"} for record in read(shop / "train.jsonl")]
    write(shop / "train.jsonl", [*records, {"id": "s0", "task": "other", "text": "别的", "label": "甲"}])
    result = bring(
        kdsl, shop, [{"id": "s0", "reason": "问亮度"}, {"id": "s0", "task": "other", "reason": "说的是别的"}]
    )
    assert "line 1: s0: not one sample: samples of shop, other have this id; name the task" in result.out
    assert [line["task"] for line in read(shop / "reasons.jsonl")] == ["other"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--import", "gone.jsonl"), "data.reasons is not set; name the file for the reasons"),
        (("data.reasons=r.jsonl", "--import", "gone.jsonl"), "gone.jsonl: no such file"),
        (("data.reasons=r.jsonl", "--import", "r.jsonl"), "r.jsonl: is the project's own file of reasons"),
        (("data.reasons=r.jsonl", "--import", "in.jsonl", "--model", "m"), "--import asks no model, so --model does"),
        (
            ("data.reasons=r.jsonl",),
            "small: lexical writes no reasons; name a model, such as --model http://localhost",
        ),
    ],
)
def test_what_is_missing_is_told(kdsl, shop, monkeypatch, arguments, message):
    monkeypatch.chdir(shop)
    result = kdsl("reasons", *arguments)
    assert result.code == 2
    assert message in result.err
