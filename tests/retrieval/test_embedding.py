"""Neighbours by a model's hidden states: kept on disk, held in the memory, and never the sample itself."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kdsl.audio.transcript import Transcript
from kdsl.data.dialogue import ENGLISH
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.retrieval.embedding import Embedder
from kdsl.retrieval.memory import Memory
from kdsl.sample import Sample, Turn
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.conversation import Conversation, Picture


class Lengths:
    """Looks at how long a text is, and whether there is a picture."""

    identity = "lengths"

    def __init__(self) -> None:
        self.seen: list[Conversation] = []

    def embed(self, conversations: Sequence[Conversation]) -> np.ndarray:
        self.seen += conversations
        pieces = [message.pieces for [message] in conversations]
        rows = [[sum(len(p) for p in each if isinstance(p, str)), 50 * any(isinstance(p, Picture) for p in each), 1]
                for each in pieces]  # fmt: skip
        return np.array(rows, dtype=np.float32)


def said(id: str, text: str, *images: str) -> Sample:
    return Sample(id, "t", (Turn("user", text, images),), images, label="从不出现")


SAMPLES = said("1", "短"), said("2", "也短"), said("3", "一句长得多的话" * 3), said("4", "图", "a.png")
ROWS = FieldTable(SAMPLES, Sidecars())


def test_samples_are_as_near_as_the_model_sees_them(tmp_path: Path):
    model = Lengths()
    embedder = Embedder(lambda: model, tmp_path)
    memory = Memory.fit(ROWS, ["甲", "乙", "丙", "丁"], [], embedder=embedder)
    new = FieldTable([said("new", "另一句也长得多的话" * 2), said("1", "短")], Sidecars()).rows
    assert [found.label for found in memory.nearest(new[0], 1, embedder=embedder)] == ["丙"]
    labels = [found.label for found in memory.nearest(new[1], 4, embedder=embedder)]
    assert labels[0] == "乙"
    assert "甲" not in labels
    memory.save(tmp_path)
    loaded = Memory.load(tmp_path)
    assert loaded.fingerprint == memory.fingerprint
    assert loaded.nearest(new[0], 3, embedder=embedder) == memory.nearest(new[0], 3, embedder=embedder)


def test_the_model_sees_dialogue_and_pictures_but_no_label(tmp_path: Path):
    model = Lengths()
    Embedder(lambda: model, tmp_path).vectors(ROWS)
    [message] = model.seen[3]
    assert message.pieces == (Picture(tmp_path / "a.png"), "用户: 图")
    assert "从不出现" not in repr(model.seen)
    Embedder(lambda: model, tmp_path, speakers=ENGLISH).vectors(ROWS)
    assert model.seen[-1][0].pieces == (Picture(tmp_path / "a.png"), "User: 图")
    with pytest.raises(KdslError, match=r"sample '4' has the image a\.png, but data\.images is not set"):
        Embedder(lambda: model, None).vectors(ROWS)


def test_what_was_embedded_before_is_not_embedded_again(tmp_path: Path):
    model = Lengths()
    first = Embedder(lambda: CachedModel(model, tmp_path / "e.jsonl"), tmp_path).vectors(ROWS)
    again = Embedder(lambda: CachedModel(model, tmp_path / "e.jsonl"), tmp_path).vectors(ROWS)
    assert len(model.seen) == 4
    assert (first == again).all()
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1)


def test_the_model_reads_what_is_said_in_sounds():
    model = Lengths()
    spoken = Sample("5", "t", (Turn("agent", "您好"), Turn("user", "在吗", audio=("a.wav",))), audio=("a.wav",))
    known = Sidecars(transcripts={"a.wav": Transcript("a.wav", 2.0, "我要退款")})
    Embedder(lambda: model, None).vectors(FieldTable([spoken], known))
    assert "".join(model.seen[0][0].pieces) == "客服: 您好\n用户: 在吗\n我要退款"


def test_a_model_that_sees_no_pictures_is_shown_texts_alone():
    model = Lengths()
    Embedder(lambda: model, None, sees=lambda: False).vectors(ROWS)
    assert [message.pieces for [message] in model.seen][2:] == [(f"用户: {'一句长得多的话' * 3}",), ("用户: 图",)]
