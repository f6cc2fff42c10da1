"""A projection learns to name tones for a language model that has never heard one; nothing else changes."""

import hashlib
import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import tiny_projection
import torch
from tiny_projection import TONES, asked, write_tones

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.training import projecting
from kdsl.training.dialogues import TaughtDialogue
from kdsl.training.examples import Example
from kdsl.training.projecting import ProjectionRecipe, train_projection
from kdsl.vector_cache import VectorCache
from kdsl.vlm.encoder import Encoder
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.projected import ProjectedModel
from kdsl.vlm.projection import Projection, ProjectionCard

TRAINING = TrainingConfig(epochs=30, learning_rate=3e-3, batch=16, at_once=16, held_out=0.2, patience=30)
NAMES = [*TONES]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    tiny_projection.write_language_model(folder / "words")
    tiny_projection.write_encoder(folder / "ears")
    write_tones(folder / "train", 90, seed=0)
    write_tones(folder / "unheard", 60, seed=1000)
    return folder


def recipe(world: Path, **changes: Any) -> ProjectionRecipe:
    base = ProjectionRecipe(str(world / "words"), 2, PixelBudget(), 512, TRAINING, seed=0, device="cpu")
    return replace(base, **changes)


def encoder(world: Path) -> Encoder:
    return Encoder(str(world / "ears"), "cpu", VectorCache(world / "vectors.sqlite"))


def dialogues(tones: list[tuple[Path, str]]) -> list[TaughtDialogue]:
    return [TaughtDialogue(path.stem, (Example("", asked(path), name),)) for path, name in tones]


def tones(folder: Path) -> list[tuple[Path, str]]:
    files = sorted(folder.glob("*.wav"), key=lambda path: int(path.stem))
    return list(zip(files, itertools.cycle(NAMES)))


def load(world: Path, folder: Path) -> ProjectedModel:
    return ProjectedModel.load(
        str(world / "words"), str(world / "ears"), folder, device="cpu", cache=VectorCache(world / "vectors.sqlite")
    )


def share_named(model: ProjectedModel, sounds: list[tuple[Path, str]]) -> float:
    """Of sounds whose name is what the model says, and the most probable answer of all three, too."""
    said = model.generate([asked(path) for path, _ in sounds], 4)
    scored = model.score([asked(path) for path, _ in sounds], NAMES).log_probabilities.argmax(axis=1)
    right = [answer.text == NAMES[best] == name for answer, best, (_, name) in zip(said, scored, sounds, strict=True)]
    return float(np.mean(right))


@pytest.fixture(scope="module")
def learned(world: Path) -> Path:
    train_projection(recipe(world), dialogues(tones(world / "train")), encoder(world), world / "learned")
    return world / "learned"


def test_tones_that_it_has_not_heard_are_named(world, learned):
    assert share_named(load(world, learned), tones(world / "unheard")) >= 0.95


def test_with_the_encoders_vectors_shuffled_among_the_sounds_it_fails(world):
    shuffled = encoder(world)
    vectors = shuffled.vectors

    def wrong(paths, progress=None):
        return np.random.default_rng(0).permutation(vectors(paths, progress))

    shuffled.vectors = wrong
    train_projection(recipe(world), dialogues(tones(world / "train")), shuffled, world / "shuffled")
    assert share_named(load(world, world / "shuffled"), tones(world / "unheard")) < 0.6
