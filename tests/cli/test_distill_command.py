"""kdsl distill with a real server process as teacher, which may fail, stall and talk nonsense part of the time."""

import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from interrupted import run_interrupted
from model_server import RunningServer, model_server
from PIL import Image
from small_shop import WORDS, dialogues, read, write, write_project

REPLIES = [(word, label) for label, words in WORDS.items() for word in words]
"""A teacher that knows the words of every label."""
LACKS = ("prompt_logprobs",)


@pytest.fixture(scope="module")
def shared_server():
    with model_server() as running:
        yield running


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(answer="不知道", replies=REPLIES, lacks=LACKS, constraint=None)
    return shared_server


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A project after kdsl mine and kdsl train, with 24 unlabelled samples."""
    from kdsl.project.mining import mine
    from kdsl.project.project import Project
    from kdsl.project.task import TaskProject
    from kdsl.project.training import train_project

    folder = write_project(tmp_path_factory.mktemp("shop") / "project")
    pool = dialogues(24, 7, "u")
    write(folder / "pool.jsonl", [{key: record[key] for key in ("id", "turns")} for record in pool])
    data = "train: train.jsonl, unlabelled: pool.jsonl, distilled: distilled.jsonl"
    config = (folder / "kdsl.yaml").read_text("utf-8").replace("train: train.jsonl", data)
    (folder / "kdsl.yaml").write_text(config, "utf-8")
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    train_project(project)
    return folder


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "project"))


def command(shop: Path, server: RunningServer, *options: object) -> list[object]:
    return ["distill", shop, f"distill.teacher={server.url}", "--format", "json", *options]


def outcome(result) -> dict:
    [found] = json.loads(result.out)
    return found


def said_by(text: str) -> str:
    """The label whose word the customer says."""
    return next(label for word, label in REPLIES if word in text)


def asked(server: RunningServer, since: int) -> list[str]:
    """The conversations of requests for labels that got an answer, one for each of many samples."""
    return [
        json.dumps(request["body"]["messages"], ensure_ascii=False)
        for request in server.requests()[since:]
        if request["fault"] is None and "用户" in str(request["body"]) and "prompt_logprobs" not in request["body"]
    ]


def test_what_teacher_model_and_rules_agree_on_is_written_with_its_origin(kdsl, shop, server):
    result = kdsl(*command(shop, server))
    assert result.code == 0, result.err
    found = outcome(result)
    assert found["unlabelled"] == 24
    assert sum(row["samples"] for row in found["agreement"]) == 24
    assert sum(row["answered"] for row in found["labels"]) == 24
    lines = read(shop / "distilled.jsonl")
    for row in found["labels"]:
        assert row["kept"] == sum(line["label"] == row["label"] for line in lines)
    assert found["written"] == len(lines) == sum(row["kept"] for row in found["agreement"]) > 12
    for line in lines:
        assert line["label"] == said_by(line["turns"][0]["text"])
        assert line["targets"] == {line["label"]: 1.0}  # this server tells no log-probabilities
        assert (line["teacher"], line["round"], line["task"]) == (server.url, 1, "shop")
        assert line["confidence"] > 0.9
    assert f"{len(lines)} samples for `kdsl train`" in result.err
    assert [r["round"] for r in found["rounds"]] == [0, 1]
    assert found["ended"] in ("distill.rounds is 1", "weighted F1 does not rise")
    table = kdsl("distill", shop, f"distill.teacher={server.url}").out
    for part in (
        "shop: agreement (A, B and C: different labels",
        "confident",
        "shop: by the teacher's label",
        "answered",
        "shop: rounds",
        "weighted F1",
        "shop: ended after",
    ):
        assert part in table


def test_training_and_cross_validation_learn_from_what_was_kept(kdsl, shop, server):
    kdsl("train", shop)
    before = (shop / "checkpoints/run/shop/linear.npz").read_bytes()
    kdsl(*command(shop, server))
    assert kdsl("train", shop, "--format", "json").code == 0
    assert (shop / "checkpoints/run/shop/linear.npz").read_bytes() != before
    assert kdsl("train", shop, "data.distilled=").code == 0
    assert (shop / "checkpoints/run/shop/linear.npz").read_bytes() == before
    with_teacher = kdsl("evaluate", shop, "--cross-validate", 2, "--format", "json", "--workers", 1)
    assert with_teacher.code == 0, with_teacher.err


def test_the_teacher_is_shown_as_much_of_the_pages_as_the_project_allows(kdsl, shop, server):
    pool = [{**record, "images": [f"{record['id']}.png"]} for record in read(shop / "pool.jsonl")]
    write(shop / "pool.jsonl", pool)
    said = [f"{number}{letter}号商品说明文字" for number in "一二三四" for letter in "甲乙丙丁戊己庚辛壬癸"]
    lines = [{"text": text, "score": 0.9, "box": [9, 90 + 30 * i, 300, 110 + 30 * i]} for i, text in enumerate(said)]
    pages = [{"image": record["images"][0], "size": [400, 2000], "lines": lines} for record in pool]
    write(shop / "ocr.jsonl", pages)
    (shop / "images").mkdir()
    for record in pool:
        Image.new("RGB", (40, 200), "white").save(shop / "images" / record["images"][0])
    task = (shop / "task.yaml").read_text("utf-8")
    (shop / "task.yaml").write_text(task + "prompt: '{dialogue} {labels}'\n", "utf-8")
    shown = {}
    assert kdsl("train", shop, "prompt.ocr=true").code == 0
    for tokens in (20, 2000):
        before = len(server.requests())
        result = kdsl(*command(shop, server, "prompt.ocr=true", f"prompt.ocr_tokens={tokens}"))
        assert result.code == 0, result.err
        shown[tokens] = asked(server, before)[-1].count("商品说明文字")
    assert 0 < shown[20] < 5
    assert shown[2000] == len(said)


def test_a_teacher_that_takes_no_pictures_is_asked_with_the_text_on_them_alone(kdsl, shop, server, caplog):
    """Of 24 samples the first shows a picture without text: it is told, and no harm to the others."""
    pool = read(shop / "pool.jsonl")
    write(shop / "pool.jsonl", [{"id": record["id"], "images": [f"{record['id']}.png"]} for record in pool])
    (shop / "images").mkdir()
    pages = []
    for number, record in enumerate(pool):
        Image.new("RGB", (56, 56), (9 * number, 0, 0)).save(shop / f"images/{record['id']}.png")
        line = {"text": record["turns"][0]["text"][-30:], "score": 0.9, "box": [9, 90, 300, 110]}
        pages.append({"image": f"{record['id']}.png", "size": [400, 2000], "lines": [line] if number else []})
    write(shop / "ocr.jsonl", pages)
    assert kdsl("train", shop, "prompt.ocr=true").code == 0
    server.become(answer="不知道", replies=REPLIES, lacks=(*LACKS, "pictures"), constraint=None)
    before = len(server.requests())
    result = kdsl(*command(shop, server, "prompt.ocr=true"))
    found = outcome(result)
    assert list(found["failed"]) == [pool[0]["id"]]
    assert (result.code, sum(row["answered"] for row in found["labels"])) == (1, 23)
    assert caplog.text.count("tiny takes no pictures: of images it is shown the text on them alone") == 1
    sent = [json.dumps(request["body"], ensure_ascii=False) for request in server.requests()[before:]]
    assert sum("data:image" in body for body in sent) <= 2  # the small white one
    assert sum("图片中的文字" in body for body in sent) >= 23


def test_what_is_like_a_labelled_sample_is_neither_asked_about_nor_learned(kdsl, shop, server, caplog):
    train, pool = read(shop / "train.jsonl"), read(shop / "pool.jsonl")
    like = [{"id": f"like{i}", "turns": record["turns"]} for i, record in enumerate(train[:3])]
    write(shop / "pool.jsonl", [*pool, *like, pool[0]])
    before = len(server.requests())
    result = kdsl(*command(shop, server))
    found = outcome(result)
    assert (found["unlabelled"], found["like_labelled"], found["repeated"]) == (24, 3, 1)
    assert "shop: 3 unlabelled samples are like one that people labelled; they are left out" in result.err
    texts = [record["turns"][0]["text"] for record in like]
    assert not any(text in request for request in asked(server, before) for text in texts)
    # Whatever a person puts into the file: what is like a sample of people's is not learned.
    plain = (shop / "checkpoints/run/shop/linear.npz").read_bytes()
    write(shop / "distilled.jsonl", [{**record, "label": "物流"} for record in like])
    assert kdsl("train", shop).code == 0
    assert "3 of 3 samples are like one that people labelled and are left out" in caplog.text
    assert (shop / "checkpoints/run/shop/linear.npz").read_bytes() == plain


def test_where_none_is_left_to_label_what_was_kept_before_stays(kdsl, shop, server):
    (shop / "distilled.jsonl").write_text("kept", "utf-8")
    result = kdsl(*command(shop, server), f"data.unlabelled={shop / 'train.jsonl'}")
    assert result.code == 2
    assert "train.jsonl: every sample is like one of data.train or data.test, so none is left to label" in result.err
    assert (shop / "distilled.jsonl").read_text("utf-8") == "kept"


def test_no_label_in_the_unlabelled_file_is_looked_at(kdsl, shop, server):
    kdsl(*command(shop, server))
    without = read(shop / "distilled.jsonl")
    write(shop / "pool.jsonl", [{**record, "label": "物流"} for record in read(shop / "pool.jsonl")])
    kdsl(*command(shop, server))
    assert read(shop / "distilled.jsonl") == without


def test_a_second_run_asks_nothing(kdsl, shop, server):
    kdsl(*command(shop, server))
    first, before = (shop / "distilled.jsonl").read_bytes(), len(server.requests())
    assert kdsl(*command(shop, server)).code == 0
    assert asked(server, before) == []
    assert (shop / "distilled.jsonl").read_bytes() == first


def test_a_teacher_that_fails_stalls_and_talks_nonsense_loses_and_spoils_nothing(kdsl, shop, server):
    """Whatever went wrong, the same command asks again; in the end everything is as with a good teacher."""
    kdsl(*command(shop, server))
    expected = read(shop / "distilled.jsonl")
    (shop / "checkpoints/run/teacher.answers.jsonl").unlink()
    faults = ("", "500", "", "", "drop", "", "half", "garbage", "", "", "stall", "", "", "503", "")
    server.become(answer="不知道", replies=REPLIES, lacks=LACKS, constraint=None, mischief=faults)
    for _ in range(30):  # the busier the machine, the fewer answers come in time
        result = kdsl(*command(shop, server, "--timeout", 2, "--retries", 1))
        found = outcome(result)
        assert (result.code == 1) == bool(found["failed"])
        for line in read(shop / "distilled.jsonl"):
            assert line["label"] == said_by(line["turns"][0]["text"])
        if result.code == 0:
            break
        assert f"{len(found['failed'])} of 24 samples have no answer; the same command asks them again:" in result.err
    assert result.code == 0
    assert read(shop / "distilled.jsonl") == expected


def test_nothing_is_labelled_by_nonsense(kdsl, shop, server):
    faults = ("", "nonsense", "nonsense")
    server.become(answer="不知道", replies=REPLIES, lacks=LACKS, constraint=None, mischief=faults)
    result = kdsl(*command(shop, server))
    found = outcome(result)
    assert result.code == 0
    assert found["nonsense"] >= 6  # the others got a label when the client tried to constrain the answer
    assert (
        f"shop: {found['nonsense']} unlabelled samples got answers that are no label, for example '天气很好。'; they "
        "are left out" in result.err
    )
    assert found["written"] <= 24 - found["nonsense"]
    assert all(line["label"] == said_by(line["turns"][0]["text"]) for line in read(shop / "distilled.jsonl"))


def test_a_teacher_that_never_says_a_label_is_an_error_and_nothing_is_kept(kdsl, shop, server):
    write(shop / "distilled.jsonl", [])
    server.become(answer="天气很好。", lacks=LACKS, constraint=None)
    result = kdsl(*command(shop, server))
    assert result.code == 2
    assert re.search(
        rf"error: {server.url}: none of its \d+ answers is one of 调光, 材质, 物流, for example '天气很好。'; ",
        result.err,
    )
    assert read(shop / "distilled.jsonl") == []
    assert (shop / "checkpoints/run/teacher.answers.jsonl").read_text("utf-8") == ""
    server.become(answer="不知道", replies=REPLIES, lacks=LACKS, constraint=None)
    assert outcome(kdsl(*command(shop, server)))["nonsense"] == 0


def test_a_teacher_that_is_gone_is_one_sentence_and_keeps_what_was_answered(kdsl, shop, server):
    server.become(answer="不知道", replies=REPLIES, lacks=LACKS, constraint=None, mischief=[""] * 7 + ["500"] * 1000)
    write(shop / "distilled.jsonl", [])
    result = kdsl(*command(shop, server, "--retries", 0))
    assert result.code == 2
    assert "the server answers 500 (EngineCore died); its log says why" in result.err
    assert read(shop / "distilled.jsonl") == []
    assert 1 <= len(read(shop / "checkpoints/run/teacher.answers.jsonl")) < 7


def test_where_no_sample_has_an_answer_what_was_kept_before_stays(kdsl, shop, server):
    """Fewer samples than failures in a row that end everything at once."""
    kdsl(*command(shop, server))
    before = (shop / "distilled.jsonl").read_bytes()
    (shop / "checkpoints/run/teacher.answers.jsonl").unlink()
    write(shop / "pool.jsonl", read(shop / "pool.jsonl")[:5])
    server.become(answer="不知道", replies=REPLIES, lacks=LACKS, constraint=None, mischief=["500"])
    result = kdsl(*command(shop, server, "--retries", 0))
    assert (result.code, result.out) == (2, "")
    assert "distilled.jsonl stays as it was; the first: " in result.err
    assert "the server answers 500 (EngineCore died)" in result.err
    assert (shop / "distilled.jsonl").read_bytes() == before


def test_a_confidence_that_no_answer_can_have_is_told(kdsl, shop, server):
    result = kdsl(*command(shop, server, "distill.confidence=0.99"))
    assert (result.code, outcome(result)["written"]) == (0, 0)
    assert "warning: shop: distill.confidence is 0.99, but the teacher is at most 0.96 sure: nothing can" in result.err


def test_with_copies_the_arbiter_is_fitted_on_what_the_teacher_taught_too(kdsl, shop, server):
    kdsl(*command(shop, server))
    found = []
    for options in ((), ("data.distilled=",)):
        assert kdsl("train", shop, "augment.copies=1", *options).code == 0
        with np.load(shop / "checkpoints/run/shop/out_of_fold.npz") as arrays:
            found.append(arrays["probabilities"])
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_killed_at_any_step_it_goes_on_and_asks_nothing_twice(kdsl, shop, server):
    kdsl(*command(shop, server))
    expected = (shop / "distilled.jsonl").read_bytes()
    answers = shop / "checkpoints/run/teacher.answers.jsonl"
    answers.unlink()
    (shop / "distilled.jsonl").unlink()
    start = len(server.requests())
    for after in (1, 14):
        killed = run_interrupted(signal.SIGKILL, answers.parent, answers.name, after, *command(shop, server))
        assert killed.returncode == -signal.SIGKILL
        assert not (shop / "distilled.jsonl").exists()
    with answers.open("ab") as file:
        file.write(b'{"key": "torn')
    assert kdsl(*command(shop, server)).code == 0
    assert (shop / "distilled.jsonl").read_bytes() == expected
    requests = asked(server, start)
    # What a killed process was waiting for, eight at most, never reached it.
    assert len(set(requests)) == 24 <= len(requests) <= 24 + 2 * 8
    assert len({line["key"] for line in read(answers)}) == len(read(answers)) == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("data.unlabelled=",), "data.unlabelled is not set; name the file of samples without labels"),
        (("data.distilled=",), "data.distilled is not set; name the file for what is kept"),
        (("distill.teacher=null",), "distill.teacher is not set; name a server, such as http://localhost:8000/v1"),
        (("distill.teacher=qwen",), "distill.teacher qwen is no address; name a server"),
        (("large=recorded:r.jsonl",), "r.jsonl: no such file"),
        (("distill.confidence=1.5",), "distill.confidence"),
    ],
)
def test_what_is_missing_is_told(kdsl, shop, server, options, message):
    result = kdsl(*command(shop, server), *options)
    assert result.code == 2
    assert message in result.err


def test_the_file_of_samples_is_not_overwritten(kdsl, shop, server):
    result = kdsl(*command(shop, server), f"data.distilled={shop / 'pool.jsonl'}")
    assert result.code == 2
    assert "pool.jsonl: is data.unlabelled too, which would be overwritten; name another data.distilled" in result.err
    result = kdsl(*command(shop, server), f"data.distilled={shop / 'images/../ocr.jsonl'}")
    assert "ocr.jsonl: is data.ocr too, which would be overwritten" in result.err


def test_an_untrained_project_is_told_what_to_do(kdsl, shop, server):
    shutil.rmtree(shop / "checkpoints")
    result = kdsl(*command(shop, server))
    assert result.code == 2
    assert "mining.json: no such file, and rules have a say in distillation; run `kdsl mine` first" in result.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"label": "天气"}, "distilled.jsonl, line 1: the label '天气' is none of the labels of shop; write one of"),
        ({"targets": {"调光": 2}}, "line 1: the target of '调光' is 2; it must be from 0 to 1"),
        ({"targets": {"调光": 0}}, "line 1: all targets are 0"),
        ({"targets": [1]}, "line 1: targets is [1]; it must be like"),
        ({}, "line 1: has neither targets nor a label; add one, or remove the line"),
    ],
)
def test_mistakes_in_the_file_of_what_was_kept_are_named(kdsl, shop, line, message):
    write(shop / "distilled.jsonl", [{"id": "x", "task": "shop", "text": "全新的一句话，谁也没说过", **line}])
    result = kdsl("train", shop)
    assert result.code == 2
    assert message in result.err


def test_a_model_that_learns_nothing_cannot_be_taught(kdsl, shop, server, caplog):
    answers = [{"id": record["id"], "label": record["label"]} for record in read(shop / "train.jsonl")]
    recorded = f"large=recorded:{write(shop / 'r.jsonl', answers)}"
    result = kdsl(*command(shop, server), recorded)
    assert result.code == 2
    assert "the one that `large:` names is used as it stands; set `large: linear`" in result.err
    write(shop / "distilled.jsonl", [{"id": "x", "task": "shop", "text": "谁也没说过的一句话", "label": "调光"}])
    assert kdsl("train", shop, recorded).code == 0
    assert "distilled.jsonl: not learned from, as `large: recorded:" in caplog.text
