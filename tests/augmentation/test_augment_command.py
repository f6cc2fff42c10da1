"""kdsl augment: what it writes, how it goes on, and what it says about mistakes."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from augmented_shop import RULES, TASK, page, sample, write_page
from interrupted import run_interrupted
from model_server import model_server
from PIL import Image

from kdsl.augmentation.rendered import render_pictures
from kdsl.data.readers import read_samples
from kdsl.fields.sidecar import page_record, read_ocr
from kdsl.fields.table import FieldTable
from kdsl.json_file import write_jsonl
from kdsl.project.augmentation import augmenter
from kdsl.project.project import Project
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Sample
from kdsl.vlm.model import Generation, Scores

N = 12


def record(each: Sample) -> dict:
    turns = [{"role": turn.role, "text": turn.text} for turn in each.turns]
    return {"id": each.id, "turns": turns, "images": list(each.images), "label": each.label}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    names = TASK.label_names
    samples = [sample(number, names[number % 3]) for number in range(N)]
    (tmp_path / "shop.yaml").write_text(
        "name: shop\nlabels:\n" + "".join(f"  - {{name: {name}}}\n" for name in names), "utf-8"
    )
    (tmp_path / "kdsl.yaml").write_text(
        "tasks: [shop.yaml]\ndata: {train: train.jsonl, images: images, ocr: ocr.jsonl}\naugment: {copies: 2}\n",
        "utf-8",
    )
    write_jsonl(tmp_path / "train.jsonl", map(record, samples))
    write_jsonl(tmp_path / "ocr.jsonl", (page_record(page(f"{number}.png")) for number in range(N)))
    for number in range(N):
        write_page(tmp_path / f"images/{number}.png")
    base = RuleBase(tmp_path / "rules", "shop")
    for each in RULES:
        base.save(each)
    return tmp_path


def made(project: Path) -> dict[str, bytes]:
    folder = project / "checkpoints/run/augmented"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_samples_pages_images_sheet_and_text_are_written(kdsl, project):
    result = kdsl("augment", project, "--workers", 1)
    assert result.code == 0, result.err
    folder = project / "checkpoints/run/augmented"
    records = [json.loads(line) for line in (folder / "shop.jsonl").read_text("utf-8").splitlines()]
    assert len(records) == 24
    pages = read_ocr(folder / "ocr.jsonl")
    for each in records:
        assert each["id"].startswith(f"{each['copy_of']}+")
        assert sum(each["operations"].values()) > 0
        with Image.open(folder / "images" / each["images"][0]) as image:
            assert image.size == pages[each["images"][0]].size
    assert {path.name for path in folder.iterdir()} == {"shop.jsonl", "ocr.jsonl", "images", "shop.png", "shop.txt"}
    assert f"shop: {folder / 'shop.jsonl'}" in result.err


def test_the_copies_are_samples_that_kdsl_reads(kdsl, project):
    kdsl("augment", project, "--workers", 1)
    augmented = project / "checkpoints/run/augmented"
    samples = read_samples(augmented / "shop.jsonl", [TASK])
    assert len(samples) == 24
    assert {sample.copy_of for sample in samples} <= {f"s{n}" for n in range(99)}
    options = (f"data.train={augmented / 'shop.jsonl'}", f"data.images={augmented / 'images'}")
    findings = json.loads(kdsl("check", project, *options, "--format", "json").out)["findings"]
    assert not [found for found in findings if "image" in found["message"] and found["kind"] != "giveaway"]


def test_the_text_shows_what_was_changed(kdsl, project):
    kdsl("augment", project, "--workers", 1)
    text = (project / "checkpoints/run/augmented/shop.txt").read_text("utf-8")
    assert "== s3  调光" in text
    assert "-- s3+1  " in text
    assert "[-" in text
    assert "{+" in text
    assert "0.png → " in text


def test_the_sheet_is_a_picture(kdsl, project):
    kdsl("augment", project, "--workers", 1)
    with Image.open(project / "checkpoints/run/augmented/shop.png") as sheet:
        assert sheet.width > 300
        assert sheet.height > 1000


def test_the_table_counts_labels_and_changes(kdsl, project):
    result = kdsl("augment", project, "--workers", 1, "--format", "json")
    [shop] = json.loads(result.out)
    assert shop["labels"] == [{"label": name, "samples": 4, "copies": 8} for name in TASK.label_names]
    assert {"synonym", "deleted", "cropped", "jpeg"} <= shop["operations"].keys()
    table = kdsl("augment", project, "--workers", 1)
    assert "调光         4       8" in table.out
    assert "synonym" in table.out


def test_the_same_again_makes_no_image_anew(kdsl, project, monkeypatch):
    kdsl("augment", project, "--workers", 1)
    before = made(project)
    monkeypatch.setattr("kdsl.augmentation.rendered.jpeg", None)
    assert kdsl("augment", project, "--workers", 1).code == 0
    assert made(project) == before


def test_a_changed_original_gives_other_images(kdsl, project):
    kdsl("augment", project, "--workers", 1)
    before = made(project)
    Image.new("RGB", (300, 600), "red").save(project / "images/3.png")
    kdsl("augment", project, "--workers", 1)
    assert len(made(project).keys() - before.keys()) == 2


def test_killed_in_the_middle_it_goes_on_and_ends_the_same(kdsl, project, tmp_path):
    folder = project / "checkpoints/run/augmented/images"
    killed = run_interrupted(signal.SIGKILL, folder, "[!.]*.jpg", 3, "augment", project, "--workers", 1)
    assert killed.returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*.jpg")}
    assert len(kept) == 3
    assert kdsl("augment", project, "--workers", 1).code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    resumed = {name: content for name, content in made(project).items() if "/." not in name}
    assert kdsl("augment", project, f"checkpoint={tmp_path / 'other'}", "--workers", 1).code == 0
    other = {
        str(path.relative_to(tmp_path / "other/augmented")): path.read_bytes()
        for path in (tmp_path / "other/augmented").rglob("*")
        if path.is_file()
    }
    assert resumed == other


def test_ctrl_c_says_how_to_go_on(kdsl, project, monkeypatch):
    def interrupted(*arguments: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("kdsl.augmentation.rendered.jpeg", interrupted)
    result = kdsl("augment", project, "--workers", 1)
    assert result.code == 130
    assert "0 of 24 images are made; the same command goes on from there" in result.err


def test_several_processes_make_the_same(project, tmp_path):
    opened = Project.open(project)
    samples = opened.samples()
    table = FieldTable(samples, opened.sidecars())
    labels = np.array([TASK.label_names.index(each.label) for each in samples])
    pictures = augmenter(opened, opened.tasks[0]).copies(table, labels).pictures
    one, two = (
        render_pictures(pictures, project / "images", tmp_path / str(workers), workers) for workers in (1, 2)
    )  # fmt: skip
    assert {name: file.read_bytes() for name, file in one.items()} == {n: f.read_bytes() for n, f in two.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("augment.copies=0", "augment.copies is 0, so there is nothing to make; say how many"),
        ("augment.copies=-1", "augment.copies"),
        ("augment.copies=1000000", "augment.copies is 1000000; it must be less than or equal to 100"),
        ("augment.paraphrase=true", "augment.paraphrase: true needs a model that writes; name one in `small:`"),
        ("augment={copies: 2, text: false, images: false}", "text and images are both false"),
        ("data.images=", "data.images is not set; name the folder that image names are relative to"),
        ("data.images=gone", "no such file; mend it, or take its sample out"),
    ],
)
def test_mistakes_are_one_sentence(kdsl, project, change, message):
    result = kdsl("augment", project, change)
    assert (result.code, message in result.err) == (2, True), result.err
    assert "Traceback" not in result.err


def test_a_link_out_of_the_folder_is_not_read(kdsl, project):
    (project / "images/3.png").rename(project / "3.png")
    (project / "images/3.png").symlink_to("../3.png")
    result = kdsl("augment", project)
    assert result.code == 2
    assert "error: '3.png' leads outside" in result.err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_image_is_named(kdsl, project, workers):
    (project / "images/3.png").write_text("no image")
    result = kdsl("augment", project, "--workers", workers)
    assert result.code == 2
    assert "images/3.png: cannot be read (cannot identify image file" in result.err


def test_pages_that_nobody_read_are_told(kdsl, project, caplog):
    (project / "ocr.jsonl").write_text(json.dumps(page_record(page("3.png"))) + "\n", "utf-8")
    result = kdsl("augment", project)
    assert result.code == 0, result.err
    assert "ocr.jsonl: 11 of 12 images of the training samples are not there and count as without text" in caplog.text
    assert "the first being 0.png; call project.ocr()" in caplog.text


def test_a_sample_without_a_label_is_named(kdsl, project):
    (project / "train.jsonl").write_text('{"id": "x", "text": "灯"}\n', "utf-8")
    result = kdsl("augment", project)
    assert result.code == 2
    assert "'x'" in result.err


def test_without_images_the_originals_are_named(kdsl, project):
    assert kdsl("augment", project).code == 0
    shutil.rmtree(project / "checkpoints/run/augmented/images")
    assert kdsl("augment", project, "augment.images=false").code == 0
    files = made(project)
    assert set(files) == {"shop.jsonl", "shop.txt", "ocr.jsonl"}
    assert json.loads(files["shop.jsonl"].splitlines()[0])["images"] == ["0.png"]


class Writer:
    """A small model that answers everything with the same two lines."""

    identity = "writer"
    asked = 0

    def sees(self):
        return True

    def hears(self):
        return False

    def generate(self, conversations, max_new_tokens, choices=None):
        Writer.asked += len(conversations)
        return [Generation("1. 这盏台灯能调光吗谢谢\n2. 我想调暗一点的灯", 9) for _ in conversations]

    def score(self, conversations, options):
        Writer.asked += len(conversations)
        n = np.ones(len(conversations), dtype=np.int64)
        return Scores(np.log(np.tile([0.9, 0.1], (len(n), 1))), np.array([2, 2]), 2 * n, n, 0 * n)


def test_a_small_model_s_words_are_used_and_kept(kdsl, project, monkeypatch):
    monkeypatch.setattr("kdsl.project.small.load_small", lambda project: Writer())
    options = ("small=some/model", "rules=none", "augment={copies: 2, paraphrase: true, images: false}")
    result = kdsl("augment", project, *options, "--format", "json")
    assert result.code == 0, result.err
    [made] = json.loads(result.out)
    assert made["operations"]["paraphrased"] > 5
    asked = Writer.asked
    assert asked > 5
    assert kdsl("augment", project, *options).code == 0
    assert Writer.asked == asked
    assert (project / "checkpoints/run/small.jsonl").exists()


def test_paraphrases_that_say_something_else_are_in_no_copy_and_told(kdsl, project):
    """A server that writes, for every customer, the same question about a plant and one about the same thing."""
    options = ("rules=none", "augment={copies: 2, paraphrase: true, images: false}")
    replies = [
        ("第二个：多长时间给它浇水", "否"),
        ("第二个：", "是"),
        ("换3种说法", "多长时间给它浇水一次\n麻烦您，想问的还是这件事"),
    ]
    with model_server(replies=replies, constraint=None, lacks=("prompt_logprobs",)) as server:
        result = kdsl("augment", project, f"small={server.url}", *options)
        assert result.code == 0, result.err
        assert "1 paraphrases said something else and were dropped." in result.out
        before = len(server.requests())
        again = kdsl("augment", project, f"small={server.url}", *options, "--format", "json")
        assert [request["path"] for request in server.requests()[before:]] == ["/v1/models"]
    [found] = json.loads(again.out)
    assert found["strayed"] == 1
    assert found["operations"]["paraphrased"] > 5
    assert "浇水" not in made(project)["shop.jsonl"].decode()


def test_training_learns_from_copies_and_recorded_models_do_not(kdsl, project, caplog):
    assert kdsl("mine", project, "mining.iterations=20").code == 0
    sums = []
    for copies in (0, 2):
        assert kdsl("train", project, f"augment.copies={copies}").code == 0
        sums.append((project / "checkpoints/run/shop/linear.npz").read_bytes())
    assert sums[0] != sums[1]
    (project / "answers.jsonl").write_text(
        "".join(json.dumps({"id": f"s{number}", "label": "调光"}) + "\n" for number in range(N)), "utf-8"
    )
    result = kdsl("train", project, f"large=recorded:{project / 'answers.jsonl'}")
    assert result.code == 0, result.err
    assert "is not trained here, so no copies are made" in caplog.text
