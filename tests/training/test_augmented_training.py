"""Fine-tuning on samples and their changed copies."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from tiny_project import read

from kdsl.augmentation.augmenter import Augmenter
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.large.card import TrainingCard
from kdsl.models.large.prompts import Prompts
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.training.data import data_hash, hold_out, with_copies
from kdsl.vlm.conversation import pictures

COPIES = "augment.copies=1"


@pytest.fixture
def data(tmp_path):
    from PIL import Image

    task = Task("shop", (Label("退"), Label("换")))
    samples = []
    for number in range(20):
        Image.new("RGB", (60, 90), (number * 10, 50, 90)).save(tmp_path / f"{number}.png")
        turns = (Turn("user", f"你好，我想要{task.label_names[number % 2]}货，谢谢", (f"{number}.png",)),)
        samples.append(Sample(f"s{number}", "shop", turns, (f"{number}.png",), task.label_names[number % 2]))
    labels = np.arange(20) % 2
    return hold_out(task, FieldTable(samples, Sidecars()), labels, 0.2, 0)


def test_copies_are_made_of_samples_that_are_trained_on_alone(data, tmp_path):
    with_them = with_copies(data, Augmenter(data.task, 3), tmp_path, tmp_path / "made", 1)
    held_out = {row.sample.id for row, held in zip(data.table.rows, data.held_out, strict=True) if held}
    assert len(with_them.copies) == 48
    assert not held_out & {row.sample.copy_of for row in with_them.copies.table.rows}


def test_examples_hold_the_copies_with_pictures_of_their_own(data, tmp_path):
    with_them = with_copies(data, Augmenter(data.task, 3), tmp_path, tmp_path / "made", 1)
    prompts = Prompts(tmp_path)
    plain, augmented = (each.examples(prompts, held_out=False) for each in (data, with_them))
    assert augmented[: len(plain)] == plain
    assert len(augmented) == 16 + 48
    for example in augmented[16:]:
        [picture] = pictures(example.conversation)
        assert picture.path.is_file()
        assert picture.path.parent == tmp_path / "made"
    assert with_them.examples(prompts, held_out=True) == data.examples(prompts, held_out=True)
    assert data_hash(augmented) != data_hash(plain)


def test_the_card_counts_copies_and_training_again_finds_it_done(kdsl, project, monkeypatch):
    options = (COPIES, "training.epochs=1")
    result = kdsl("train", project, *options)
    assert result.code == 0, result.err
    folder = project / "checkpoints/run/large/joint"
    card = TrainingCard.load(folder)
    assert card.tasks["shop"]["train"] == 32
    assert card.tasks["shop"]["held_out"] == 8
    assert card.tasks["shop"]["copies"] == pytest.approx(32, abs=4)
    assert f"| shop | 32 and {card.tasks['shop']['copies']} copies | 8 |" in (folder / "card.md").read_text("utf-8")
    assert list((project / "checkpoints/run/augmented/images").glob("*.jpg"))
    import kdsl.training.fine_tuning as fine_tuning

    monkeypatch.setattr(fine_tuning, "trainable_model", None)
    assert kdsl("train", project, *options).code == 0


def test_kdsl_augment_shows_the_very_images_that_are_trained_on(kdsl, project):
    assert kdsl("train", project, COPIES, "training.epochs=1").code == 0
    images = project / "checkpoints/run/augmented/images"
    trained = {path.name for path in images.glob("*.jpg")}
    result = kdsl("augment", project, COPIES, "--format", "json", "--workers", 1)
    assert result.code == 0, result.err
    [made] = json.loads(result.out)
    shown = {name for each in read(project / "checkpoints/run/augmented/shop.jsonl") for name in each["images"]}
    # How many copies a sample gets depends on how many there are of its label, and here held-out ones count.
    assert len(trained & shown) > 0.7 * len(trained)
    assert sum(label["copies"] for label in made["labels"]) == pytest.approx(40, abs=4)
