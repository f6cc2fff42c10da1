"""What a server says that cannot be used: counted, told with an example, an error where it is all, and never kept."""

import json
from pathlib import Path

import pytest
from model_server import RunningServer
from PIL import Image
from small_shop import WORDS, read, write, write_project

REPLIES = [(word, label) for label, words in WORDS.items() for word in words]
POOR = {"lacks": ("prompt_logprobs",), "constraint": None, "answer": "不知道", "replies": REPLIES}
NULL = {"message": {"content": None, "reasoning_content": "想一想…"}}
THINKS = {"message": {"content": "<think>\n客户问的是……\n</think>\n\nANSWER。"}}
ASIDE = {"message": {"content": "", "reasoning": "ANSWER"}}
EVERY_LABEL = ("limits.calls=null", "limits.tokens=null")


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(**POOR)
    return shared_server


@pytest.fixture(scope="module")
def mined(tmp_path_factory) -> Path:
    from kdsl.project.mining import mine
    from kdsl.project.project import Project
    from kdsl.project.task import TaskProject

    folder = write_project(tmp_path_factory.mktemp("shop") / "project")
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    return folder


@pytest.fixture
def shop(mined: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(mined, tmp_path / "project"))


def train(kdsl, shop: Path, server: RunningServer, *options: str):
    return kdsl("train", shop, f"large={server.url}", "--format", "json", *options)


def kept(shop: Path) -> list[dict]:
    return read(shop / "checkpoints" / "run" / "shop" / "large.answers.jsonl")


@pytest.mark.parametrize("form", [None, THINKS, ASIDE], ids=["plain", "thinks", "aside"])
@pytest.mark.parametrize("options", [(), EVERY_LABEL], ids=["one call", "every label"])
def test_a_model_is_worth_the_same_however_its_labels_are_enclosed(kdsl, shop, server, form, options, caplog) -> None:
    server.become(**POOR, form=form)
    result = train(kdsl, shop, server, *options)
    assert result.code == 0, result.err
    assert json.loads(result.out)[0]["model"]["weighted_f1"] > 0.8
    assert "none of the labels" not in caplog.text


@pytest.mark.parametrize("options", [(), EVERY_LABEL], ids=["one call", "every label"])
def test_a_model_none_of_whose_answers_is_a_label_is_an_error_and_is_asked_again(kdsl, shop, server, options) -> None:
    server.become(**POOR, form=NULL)
    result = train(kdsl, shop, server, *options)
    assert result.code == 2
    assert (
        f"error: {server.url}: none of its 32 answers is one of 调光, 材质, 物流, for example '想一想…'; name a model "
        "that answers what it is asked, or look at how it is served\n" in result.err
    )
    assert kept(shop) == [] and not (shop / "checkpoints" / "run" / "shop" / "arbiter.json").exists()
    server.become(**POOR)
    assert train(kdsl, shop, server, *options).code == 0


def test_a_few_samples_are_enough_for_that(kdsl, shop, server, tmp_path) -> None:
    few = write_project(tmp_path / "few")
    write(few / "train.jsonl", read(few / "train.jsonl")[:12])
    assert kdsl("mine", few).code == 0
    server.become(**POOR, form=NULL)
    result = train(kdsl, few, server)
    assert result.code == 2
    assert "none of its 12 answers is a label of shop, for example '想一想…'" in result.err


def test_some_answers_that_are_no_labels_are_counted_with_an_example(kdsl, shop, server, caplog) -> None:
    server.become(**POOR, strays=7)
    result = train(kdsl, shop, server)
    assert result.code == 0, result.err
    assert f"{server.url}: 7 of 60 answers are none of the labels of shop, for example '别的'" in caplog.text
    assert len(kept(shop)) == 53
    before = len(server.requests())
    server.become(**POOR)
    caplog.clear()
    assert train(kdsl, shop, server).code == 0
    assert "none of the labels" not in caplog.text
    asked = [r for r in server.requests()[before:] if "messages" in r["body"] and "灯" not in str(r["body"])]
    assert len(kept(shop)) == 60 and len(asked) < 20


def test_predicting_counts_them_too(kdsl, shop, server, caplog) -> None:
    assert train(kdsl, shop, server).code == 0
    predict = ("predict", shop, "--input", shop / "test.jsonl", "--output")
    server.become(**POOR, strays=4)
    result = kdsl(*predict, shop / "p.jsonl", f"large={server.url}")
    assert result.code == 0, result.err
    told = f"{server.url}: 4 of 15 answers are none of the labels, for example '别的'; these count as no answer"
    assert told in caplog.text
    server.become(**POOR, form=NULL)
    write(shop / "more.jsonl", [record | {"id": f"m{i}"} for i, record in enumerate(read(shop / "test.jsonl") * 2)])
    result = kdsl("predict", shop, "--input", shop / "more.jsonl", "--output", shop / "q.jsonl", f"large={server.url}")
    assert result.code == 2
    assert "none of its 30 answers is a label of shop, for example '想一想…'" in result.err


@pytest.fixture
def pages(shop: Path) -> Path:
    """The project with three images, each of one sample, and a sidecar for captions."""
    (shop / "images").mkdir(exist_ok=True)
    records = read(shop / "train.jsonl")
    for number in range(3):
        Image.new("RGB", (60, 60), (40 * number, 0, 0)).save(shop / "images" / f"{number}.png")
        records[number]["images"] = [f"{number}.png"]
    write(shop / "train.jsonl", records)
    text = (shop / "kdsl.yaml").read_text("utf-8").replace("ocr: ocr.jsonl", "captions: c.jsonl, questions: q.jsonl")
    (shop / "kdsl.yaml").write_text(text, "utf-8")
    return shop


def test_an_empty_caption_is_never_kept(kdsl, pages, server) -> None:
    server.become(form=NULL)
    result = kdsl("caption", pages, f"small={server.url}")
    assert result.code == 2
    assert f"error: {server.url}: none of its 3 answers is a description, for example '想一想…'" in result.err
    assert read(pages / "c.jsonl") == []
    server.become(answer="一张图")
    write(pages / "c.jsonl", [{"image": "1.png", "caption": " ", "model": "an earlier version"}])
    assert kdsl("caption", pages, f"small={server.url}").code == 0
    assert {line["image"] for line in read(pages / "c.jsonl") if line["caption"] == "一张图"} == {
        "0.png",
        "1.png",
        "2.png",
    }


def test_some_empty_captions_are_told_and_asked_for_again(kdsl, pages, server) -> None:
    server.become(answer="一张图", mischief=("", "", '{"choices": [{"message": {"content": ""}}]}'))
    result = kdsl("caption", pages, f"small={server.url}")
    assert result.code == 1
    assert "2 images described, 0 were there" in result.out and "(the model's answer is empty)" in result.out
    assert len(read(pages / "c.jsonl")) == 2


def test_a_question_that_gets_neither_yes_nor_no_has_no_answer(kdsl, pages, server) -> None:
    server.become(answer="图中有灯吗？", lacks=("prompt_logprobs",), constraint=None)
    result = kdsl("mine", pages, f"small={server.url}")
    assert result.code == 2
    assert "is yes or no, for example '图中有灯吗？'" in result.err
    assert read(pages / "q.jsonl") == []


def test_an_empty_reason_is_no_reason_and_is_asked_for_again(kdsl, shop, server) -> None:
    write(shop / "train.jsonl", read(shop / "train.jsonl")[:6])
    config = (
        (shop / "kdsl.yaml").read_text("utf-8").replace("train: train.jsonl", "train: train.jsonl, reasons: r.jsonl")
    )
    (shop / "kdsl.yaml").write_text(config, "utf-8")
    server.become(form=NULL)
    result = kdsl("reasons", shop, "--model", server.url, "--format", "json")
    assert result.code == 1
    found = json.loads(result.out)["shop"]
    assert (found["asked"], found["written"], len(found["failed"])) == (0, 0, 6)
    assert set(found["failed"].values()) == {"the answer is empty, beside '想一想…'"}
    assert read(shop / "r.jsonl") == [] and not (shop / "checkpoints" / "run" / "reasons.jsonl").exists()
    server.become(**POOR)
    assert json.loads(kdsl("reasons", shop, "--model", server.url, "--format", "json").out)["shop"]["asked"] == 6
