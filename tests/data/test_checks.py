"""Every finding of the data checks, one by one."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from kdsl.data.checks import check_samples
from kdsl.data.finding import Finding
from kdsl.data.images import inspect_image
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("t", (Label("能否调光"), Label("商品材质")))


def said(identity: str, text: str, label: str | None = "能否调光") -> Sample:
    return Sample(identity, "t", (Turn("user", text),), (), label)


def seen(identity: str, *images: str, label: str | None = "能否调光") -> Sample:
    return Sample(identity, "t", (), images, label)


def clean_samples(count: int = 12) -> list[Sample]:
    """Samples without any finding, labels alternating irregularly along the ids."""
    words = random.Random(0)
    labels = ["能否调光", "商品材质"] * (count // 2)
    words.shuffle(labels)
    alphabet = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动"
    return [said(str(i), "".join(words.choices(alphabet, k=20)), label) for i, label in enumerate(labels)]


def drawn_page(path: Path, seed: int, size: tuple[int, int] = (180, 320)) -> None:
    shapes = random.Random(seed)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = shapes.randrange(size[0]), shapes.randrange(size[1])
        draw.rectangle((x, y, x + 60, y + 40), fill=tuple(shapes.randrange(200) for _ in range(3)))
    image.save(path)


@pytest.fixture
def findings(tmp_path) -> Callable[..., dict[str, Finding]]:
    """Findings by kind of training samples, and test samples if there are some; images lie in tmp_path."""

    def findings(train, test=None, task=TASK, images=tmp_path) -> dict[str, Finding]:
        splits = {"train": train} | ({"test": test} if test is not None else {})
        report = check_samples(splits, [task], images)
        assert len({(f.kind, f.split) for f in report.findings}) == len(report.findings)
        return {finding.kind: finding for finding in report.findings}

    return findings


def test_clean_samples_have_no_findings(findings):
    assert findings(clean_samples()) == {}


def test_labels_are_counted_by_split_with_unknown_and_missing_ones_last():
    train = [*clean_samples(4), said("x", "字", "没有"), said("y", "字", None)]
    report = check_samples({"train": train, "test": clean_samples(2)}, [TASK], None)
    assert report.counts == {
        "t": {
            "能否调光": {"train": 2, "test": 1},
            "商品材质": {"train": 2, "test": 1},
            "没有": {"train": 1, "test": 0},
            None: {"train": 1, "test": 0},
        }
    }


def test_duplicate_ids(findings):
    found = findings([*clean_samples(), said("3", "别的话")])
    assert (found["duplicate-ids"].count, found["duplicate-ids"].examples) == (1, ("3",))


def test_an_id_may_be_used_once_in_every_task_and_split(tmp_path):
    """A sample is known by task and id within its file; what test samples are called says nothing about training."""
    other = Task("u", TASK.labels)
    train = [*clean_samples(), *(replace(each, task="u") for each in clean_samples())]
    test = [said(str(i), f"第{chr(0x4E00 + 31 * i) * 9}个") for i in range(12)]
    assert check_samples({"train": train, "test": test}, [TASK, other], tmp_path).findings == []


def test_one_sample_in_both_splits_is_a_near_duplicate_whatever_its_id(findings):
    train = clean_samples()
    for test in (train[3], replace(train[3], id="new")):
        assert findings(train, [test]).keys() == {"near-duplicates"}


def test_unknown_and_missing_labels(findings):
    found = findings([*clean_samples(), said("x", "别的话", "调光"), said("y", "再一句", None)])
    assert found["unknown-labels"].examples == ("x: 调光",)
    assert findings([said("x", "别的话", "能否调光 ")])["unknown-labels"].examples == ("x: '能否调光 '",)
    assert found["no-label"].examples == ("y",)


def test_test_samples_need_no_label_and_may_be_few(findings):
    assert findings(clean_samples(), [said("x", "测试的话", None)]) == {}


def test_labels_with_few_samples(findings):
    found = findings([*clean_samples(14)[:-6], said("a", "甲", "能否调光")])
    assert found.keys() == {"few-samples"}
    assert "fewer than 5" in found["few-samples"].message


def test_a_single_label(findings):
    found = findings([sample for sample in clean_samples(40) if sample.label == "能否调光"])
    assert "能否调光 only" in found["one-label"].message
    assert found["few-samples"].examples == ("商品材质: 0",)


def test_samples_with_nothing_in_them(findings):
    empty = [
        Sample("e1", "t", (), (), "能否调光"),
        said("e2", " \n"),
        Sample("e3", "t", (Turn("agent", ""),), (), "能否调光"),
    ]
    assert findings([*clean_samples(), *empty])["empty-dialogues"].examples == ("e1", "e2", "e3")


def test_a_screenshot_alone_is_empty_only_where_the_task_wants_a_dialogue(findings, tmp_path):
    drawn_page(tmp_path / "a.png", 1)
    samples = [*clean_samples(), seen("s", "a.png")]
    assert findings(samples) == {}
    assert findings(samples, task=Task("t", TASK.labels, "{dialogue}"))["empty-dialogues"].examples == ("s",)


def test_a_dialogue_without_a_user(findings):
    samples = [*clean_samples(), Sample("a", "t", (Turn("user", ""), Turn("agent", "在的")), (), "能否调光")]
    assert findings(samples)["no-user-turn"].examples == ("a",)


def test_a_placeholder_without_an_image(findings):
    assert findings([*clean_samples(), said("a", "看<image>")])["placeholders"].examples == ("a",)


class TestImages:
    def test_missing_unreadable_and_huge_images_are_told_apart(self, findings, tmp_path):
        drawn_page(tmp_path / "good.jpg", 1)
        (tmp_path / "text.jpg").write_text("not an image")
        (tmp_path / "cut.jpg").write_bytes((tmp_path / "good.jpg").read_bytes()[:700])
        (tmp_path / "empty.png").touch()
        Image.new("1", (6000, 5000)).save(tmp_path / "huge.png")
        names = ["good.jpg", "text.jpg", "cut.jpg", "empty.png", "huge.png", "gone.png"]
        found = findings([*clean_samples(), *(seen(name, name) for name in names)])
        assert found["missing-images"].examples == ("gone.png",)
        assert found["unreadable-images"].count == 3
        assert {example.split(" ")[0] for example in found["unreadable-images"].examples} == {
            "text.jpg",
            "cut.jpg",
            "empty.png",
        }
        assert found["huge-images"].examples == ("huge.png (6000 x 5000 pixels)",)

    def test_links_out_of_the_folder_and_folders_are_told_and_not_opened(self, findings, tmp_path):
        (tmp_path / "images/shop").mkdir(parents=True)
        drawn_page(tmp_path / "a.png", 1)
        (tmp_path / "images/a.png").symlink_to("../a.png")
        samples = [*clean_samples(), seen("a", "a.png"), seen("b", "shop"), seen("c", "a.png ")]
        found = findings(samples, images=tmp_path / "images")
        assert found["outside-images"].examples == ("a.png",)
        assert found["unreadable-images"].examples == ("shop (no file)",)
        assert found["missing-images"].examples == ("'a.png '",)

    def test_a_decompression_bomb_is_not_decoded(self, tmp_path):
        Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png")
        facts = inspect_image(tmp_path / "bomb.png")
        assert (facts.problem, facts.hash) == ("huge", None)

    @pytest.mark.parametrize(("width", "height"), [(10, 2600), (2600, 10), (1, 300)])
    def test_an_image_that_gets_a_margin_is_named(self, findings, tmp_path, width, height):
        Image.new("L", (width, height)).save(tmp_path / "strip.png")
        Image.new("L", (13, 2600)).save(tmp_path / "fine.png")
        found = findings([*clean_samples(), seen("a", "strip.png"), seen("b", "fine.png")])["narrow-images"]
        assert found.examples == (f"strip.png ({width} x {height} pixels)",)
        assert "one side more than 200 times the other; OCR and models see them with a margin" in found.message

    def test_a_side_that_no_decoder_should_meet_is_huge(self, findings, tmp_path):
        Image.new("1", (1, 65536)).save(tmp_path / "strip.png")
        found = findings([*clean_samples(), seen("a", "strip.png")])
        assert found["huge-images"].examples == ("strip.png (1 x 65536 pixels)",)
        assert "narrow-images" not in found

    def test_no_image_folder_is_one_finding(self, findings, tmp_path):
        samples = [*clean_samples(), seen("a", "a.png"), seen("b", "b.png")]
        assert "data.images is not set" in findings(samples, images=None)["no-image-folder"].message
        assert "nowhere does not exist" in findings(samples, images=tmp_path / "nowhere")["no-image-folder"].message


class TestNearDuplicates:
    def test_texts_that_differ_in_little(self, findings):
        train = clean_samples()
        test = [said("copy", f"{train[3].turns[0].text} ！"), said("new", "完全没有见过的另外一句话")]
        assert findings(train, test)["near-duplicates"].examples == ("copy like 3",)

    def test_short_texts_must_be_equal_once_normalised(self, findings):
        train = [*clean_samples(), said("a", "ＯＫ")]
        found = findings(train, [said("same", "ok"), said("other", "no")])
        assert found["near-duplicates"].examples == ("same like a",)

    def test_the_same_page_in_another_size_and_format(self, findings, tmp_path):
        drawn_page(tmp_path / "a.png", 1)
        drawn_page(tmp_path / "b.png", 2)
        Image.open(tmp_path / "a.png").resize((270, 480)).save(tmp_path / "c.jpg")
        found = findings([*clean_samples(), seen("a", "a.png")], [seen("b", "b.png"), seen("c", "c.jpg")])
        assert found["near-duplicates"].examples == ("c like a",)

    def test_blank_pages_are_not_compared(self, findings, tmp_path):
        for name in ("a.png", "b.png"):
            Image.new("RGB", (90, 160), "white").save(tmp_path / name)
        assert findings([*clean_samples(), seen("a", "a.png")], [seen("b", "b.png")]) == {}

    def test_samples_of_two_tasks_are_never_duplicates(self, tmp_path):
        other = Task("u", TASK.labels)
        test = [Sample(sample.id, "u", sample.turns) for sample in clean_samples()]
        report = check_samples({"train": clean_samples(), "test": test}, [TASK, other], tmp_path)
        assert "near-duplicates" not in {finding.kind for finding in report.findings}


class TestGiveaways:
    def test_ids_with_the_name_of_their_label(self, findings):
        train = [
            Sample(f"{sample.label}_{sample.id}", "t", sample.turns, (), sample.label) for sample in clean_samples()
        ]
        assert findings(train)["giveaway"].count == 12
        assert "ids give the label away: hold the name of their label" in findings(train)["giveaway"].message

    def test_folders_with_the_name_of_the_label(self, findings, tmp_path):
        for i, sample in enumerate(clean_samples()):
            (tmp_path / sample.label).mkdir(exist_ok=True)
            drawn_page(tmp_path / sample.label / f"{i}.png", i)
        train = [seen(s.id, f"{s.label}/{s.id}.png", label=s.label) for s in clean_samples()]
        assert "image file names give the label away" in findings(train)["giveaway"].message

    @pytest.mark.parametrize("name", ["item-{}", "{:04d}", "{}_x9"])
    def test_numbers_sorted_by_label(self, findings, name):
        labels = [name for name in ("能否调光", "商品材质", "甲乙", "丙丁") for _ in range(25)]
        task = Task("t", tuple(Label(label) for label in dict.fromkeys(labels)))
        samples = [said(name.format(i), f"{i:b}", label) for i, label in enumerate(labels)]
        random.Random(0).shuffle(samples)  # the order of the file must not matter
        assert "96 of 99 neighbours have the same label" in findings(samples, task=task)["giveaway"].message

    def test_prefixes_that_stand_for_labels(self, findings):
        prefix = {"能否调光": "q", "商品材质": "z"}
        samples = [said(f"{prefix[s.label]}-{s.id}", s.turns[0].text, s.label) for s in clean_samples(60)]
        assert "58 of 59 neighbours have the same label" in findings(samples)["giveaway"].message

    def test_numbers_in_random_order_are_fine(self, findings):
        assert "giveaway" not in findings(clean_samples(200))
