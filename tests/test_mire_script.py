"""scripts/mire: the organisers' four steps, on made-up data in their layout."""

import csv
import importlib.util
import json
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from sklearn.metrics import f1_score

from kdsl.evaluate.costs import CostSummary, CountedModel, OverLimit, Parameters, Spent
from kdsl.project.create import create_project
from kdsl.sample import Label, Task

ROOT = Path(__file__).resolve().parents[1]
INTENT = (
    "你是一个电商客服专家，请根据用户与客服的多轮对话判断用户的意图分类标签。\n<用户与客服的对话 START>\n"
    "用户: {said}\n客服: 亲，稍等。\n<用户与客服的对话 END>\n请直接只输出分类标签结果，不需要其他多余的话。\n"
)
SCENE = "Picture 1: <image>\n你是一个电商领域识图专家,请你对消费者上传的图片进行分类。"
SAID = {"能否调光": ["灯太亮了，能调暗吗", "可以调亮度吗"], "是否会生锈": ["这个会生锈吗", "放水里会不会锈"]}
SEEN = {"支付页面": (200, 30, 30), "物流页面-物流跟踪页面": (30, 30, 200)}
QUICK = ["encoder=none", "small=lexical", "large=neighbours", "mining.iterations=5", "mining.max_conditions=1"]


def load():
    loader = SourceFileLoader("mire_script", str(ROOT / "scripts" / "mire"))
    script = importlib.util.module_from_spec(importlib.util.spec_from_loader("mire_script", loader))
    loader.exec_module(script)
    return script


MIRE = load()


def write_samples(path, each, seed, labels=True):
    """A file of the challenge, `each` samples of four labels, and the images of its scenes beside it."""
    (path.parent / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(each):
        for label, said in SAID.items():
            text = f"{said[number % 2]}{'。' * (number % 3)}"
            rows.append({"instruction": INTENT.format(said=text), "output": label, "image": []})
        for label, colour in SEEN.items():
            name = f"{seed}-{len(rows)}.jpg"
            Image.new("RGB", (40, 80), tuple(min(255, part + 5 * number) for part in colour)).save(
                path.parent / "images" / name
            )
            rows.append({"instruction": SCENE, "output": label, "image": [name]})
    rows = [{"id": f"{seed}-{number:03}", "input": "", **row} for number, row in enumerate(rows)]
    path.write_text(json.dumps([row if labels else {**row, "output": ""} for row in rows]), "utf-8")
    return rows


def submission(folder):
    with (folder / "submit.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def generated(folder):
    return [json.loads(line) for line in (folder / "generated_predictions.jsonl").read_text("utf-8").splitlines()]


def run(place, capsys, *arguments):
    """Exit code, stdout and stderr of the command."""
    capsys.readouterr()
    folders = [place / "data", "--folder", place / "run", "--workers", 1]
    code = MIRE.main([*map(str, [*folders, *QUICK, *arguments])])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The challenge's data as they are downloaded, and projects for tasks like those that ship, with fewer labels."""
    place = tmp_path_factory.mktemp("mire")
    write_samples(place / "data" / "train" / "train.json", 5, "a")
    prompt = INTENT.replace("用户: {said}\n客服: 亲，稍等。", "{dialogue}{labels}")
    intent = Task("intent", tuple(map(Label, SAID)), prompt)
    scene = Task("scene", tuple(map(Label, SEEN)), SCENE + "{labels}")
    folders, numbers = {"": "a", "train/images/": "a", "test1/images/": "bc"}, range(20)
    names = (f"{folder}{kind}-{n}.jpg" for folder, kinds in folders.items() for kind in kinds for n in numbers)
    # Read already, so that nothing has to be recognised.
    read = "".join(json.dumps({"image": name, "size": [40, 80], "lines": []}) + "\n" for name in names)
    for folder in (place / "run", place / "run" / "held-out"):
        create_project(folder, [intent, scene])
        (folder / "data" / "ocr.jsonl").write_text(read, "utf-8")
    return place


def test_without_a_test_file_a_fifth_of_each_label_is_held_out_and_scored_as_the_organisers_do(place, capsys):
    code, out, err = run(place, capsys)
    folder = place / "run" / "held-out"
    trained, asked = (json.loads((folder / "data" / f"{name}.json").read_text("utf-8")) for name in ("train", "test"))
    assert (len(trained), sorted(row["output"] for row in asked)) == (16, sorted([*SAID, *SEEN]))
    assert not {row["id"] for row in trained} & {row["id"] for row in asked}
    truth, predicted = [row["output"] for row in asked], [row["predict"] for row in submission(folder)]
    figures = json.loads(out)
    assert list(figures) == ["f1", "accuracy", "precision", "recall"]
    assert figures["f1"] == pytest.approx(f1_score(truth, predicted, average="weighted"))
    assert (code, "4 of 20 samples are held out to be scored, 20% of each label, seed 0" in err) == (0, True)
    assert "  limits: no model is asked" in err
    again = run(place, capsys)
    done = [line for line in again[2].splitlines() if line.startswith(("mine", "train", "evaluate"))]
    assert (again[:2], bool(done)) == ((code, out), True)
    assert all("(unchanged)" in line for line in done)


def test_a_test_file_is_predicted_with_its_own_images_and_scored_where_it_has_labels(place, capsys):
    test, folder = place / "data" / "test1" / "test1.json", place / "run"
    truth = write_samples(test, 2, "b")
    code, out, err = run(place, capsys, "--test", test)
    rows = submission(folder)
    assert [(row["id"], row["instruction"]) for row in rows] == [(row["id"], row["instruction"]) for row in truth]
    assert json.loads(rows[2]["image"]) == ["test1/images/b-2.jpg"]
    assert [(line["predict"], line["label"]) for line in generated(folder)] == [
        (row["predict"], asked["output"]) for row, asked in zip(rows, truth, strict=True)
    ]
    right = [row["predict"] == asked["output"] for row, asked in zip(rows, truth, strict=True)]
    assert (code, "1 train, on 20 samples" in err) == (0, True)
    assert json.loads(out)["accuracy"] == pytest.approx(sum(right) / len(right))

    write_samples(test, 1, "c", labels=False)  # the organisers' own, found by its name
    code, out, err = run(place, capsys)
    assert (code, out, [row["id"] for row in submission(folder)]) == (0, "", ["c-000", "c-001", "c-002", "c-003"])
    assert f"4 score: {test} has no labels; --hold-out 0.2 scores on a part of" in err
    assert all("(unchanged)" in line for line in err.splitlines() if line.startswith(("mine", "train")))


def test_figures_are_weighted_by_label_and_a_label_that_is_never_predicted_has_precision_0():
    figures = MIRE.scores([("a", "a"), ("a", "b"), ("a", "a"), ("b", "b"), ("c", "b")])
    f1 = {"a": 0.8, "b": 0.5, "c": 0.0}
    expected = {"f1": (3 * f1["a"] + f1["b"]) / 5, "accuracy": 0.6, "precision": (3 * 1 + 1 / 3) / 5, "recall": 0.6}
    assert figures == pytest.approx(expected)


def test_what_was_used_of_the_challenges_limits_is_said(capsys):
    cost = CostSummary(9, Spent(2.5, 4, 3), Spent(20.0, 60, 100), (OverLimit("scene", "s7", 4, 60),))
    models = (CountedModel("large", "a", 8_290_000_000), CountedModel("small", "b", 2_210_000_000))
    MIRE.say_cost(SimpleNamespace(cost=cost, parameters=Parameters(models, 10)))
    assert capsys.readouterr().err.splitlines() == [
        "  limits: at most 4 calls for a sample, of 3",
        "  limits: at most 60 output tokens for a sample, of 100",
        "  limits: exceeded by 1 samples, the first being scene s7",
        "  limits: parameters in billions, large a 8.29, small b 2.21: 10.50 billion together, more than allowed",
    ]


@pytest.mark.parametrize(
    "share, counts",
    [(0.2, {"a": 2, "b": 1}), (0.05, {"a": 0, "b": 0}), (0.5, {"a": 5, "b": 2})],
)
def test_each_label_gives_its_share_rounded_and_order_stays(share, counts):
    records = [{"id": n, "output": "b" if n % 3 == 2 and n < 12 else "a"} for n in range(14)]
    learned, asked = MIRE.held_out(records, share, 0)
    assert {label: sum(row["output"] == label for row in asked) for label in "ab"} == counts
    assert [sorted(part, key=lambda row: row["id"]) for part in (learned, asked)] == [learned, asked]


def test_another_seed_holds_out_others():
    records = [{"id": n, "output": "a"} for n in range(50)]
    draws = [[row["id"] for row in MIRE.held_out(records, 0.2, seed)[1]] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    "name, content, message",
    [
        (None, None, "train.json: is not there, and neither is"),
        ("train.json", "{}", 'train.json: not a file of the challenge; it must be a JSON list like [{"id", '),
        ("train.json", '[{"id": "1", "output": "x"}]', "too few samples of each label to hold out 20%"),
    ],
)
def test_what_is_no_data_of_the_challenge_is_told_in_a_sentence(tmp_path, capsys, name, content, message):
    create_project(tmp_path / "run")
    if name:
        (tmp_path / name).write_text(content, "utf-8")
    code = MIRE.main([str(tmp_path), "--folder", str(tmp_path / "run")])
    err = capsys.readouterr().err
    assert (code, message in err, "Traceback" in err) == (2, True, False)
