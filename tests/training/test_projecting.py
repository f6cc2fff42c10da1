"""A projection learns to name tones for a language model that has never heard one; nothing else changes."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
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
from kdsl.progress import Advance, Progress
from kdsl.training.dialogues import TaughtDialogue, hold_out_dialogues
from kdsl.training.examples import Example
from kdsl.training.packing import Collator
from kdsl.training.projecting import ProjectionRecipe, train_projection
from kdsl.vector_cache import VectorCache
from kdsl.vlm.encoder import Encoder
from kdsl.vlm.local import LocalModel
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
    write_tones(folder / "train", 120, seed=0)
    write_tones(folder / "unheard", 60, seed=1000)
    return folder


def recipe(world: Path, **changes: Any) -> ProjectionRecipe:
    base = ProjectionRecipe(str(world / "words"), 4, PixelBudget(), 512, TRAINING, seed=0, device="cpu")
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


def stopped_at(step: int) -> Progress:
    """Somebody presses Ctrl-C in that step of learning."""

    @contextmanager
    def progress(description: str, total: int | None) -> Iterator[Advance]:
        steps = itertools.count(1)

        def advance(told: str) -> None:
            if description == "Learning the projection" and next(steps) == step:
                raise KeyboardInterrupt

        yield advance

    return progress


def numbers(folder: Path) -> dict[str, torch.Tensor]:
    """Everything that is in a projection."""
    return Projection.load(folder, ProjectionCard.load(folder)).state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def learned(world: Path) -> Path:
    train_projection(recipe(world), dialogues(tones(world / "train")), encoder(world), world / "learned")
    return world / "learned"


def test_tones_that_it_has_not_heard_are_named(world, learned):
    model = load(world, learned)
    assert share_named(model, tones(world / "unheard")) >= 0.95
    with torch.no_grad():
        model.embeddings.projection.weight.neg_()
    assert share_named(model, tones(world / "unheard")) < 0.6


def test_with_the_encoders_vectors_shuffled_among_the_sounds_it_fails(world):
    shuffled = encoder(world)
    right = shuffled.vectors
    shuffled.vectors = lambda paths, progress=None: np.random.default_rng(0).permutation(right(paths, progress))
    train_projection(recipe(world), dialogues(tones(world / "train")), shuffled, world / "shuffled")
    assert share_named(load(world, world / "shuffled"), tones(world / "unheard")) < 0.6


def test_nothing_changes_but_the_map_and_the_marks(world, monkeypatch):
    opened, listening = [], encoder(world)
    plain = LocalModel.load(str(world / "words"), device="cpu").model.state_dict()
    ears = {name: tensor.clone() for name, tensor in listening._model.state_dict().items()}
    before = {name: tensor.clone() for name, tensor in plain.items()}
    load_model = LocalModel.load
    monkeypatch.setattr(LocalModel, "load", lambda *args: opened.append(load_model(*args)) or opened[0])
    once = recipe(world, training=TRAINING.model_copy(update={"epochs": 1}))
    train_projection(once, dialogues(tones(world / "train")), listening, world / "once")
    [local] = opened
    after = {name.replace("embed_tokens.words.", "embed_tokens."): t for name, t in local.model.state_dict().items()}
    learned = {name: after.pop(name) for name in [*after] if ".projection." in name}
    assert same(before, after) and same(ears, listening._model.state_dict())
    assert {name.rpartition(".")[2] for name in learned} == {"weight", "marks", "mean", "deviation"}
    start = Projection(32, 4, 64)
    paths = [path for path, _ in tones(world / "train")]
    taught, _ = hold_out_dialogues(dialogues(tones(world / "train")), 0.2, 0)
    heard = [paths[int(dialogue.id)] for dialogue in taught]
    start.initialise(torch.from_numpy(encoder(world).vectors(heard)), before["lm_head.weight"], 0)
    for name, tensor in numbers(world / "once").items():
        assert torch.equal(tensor, start.state_dict()[name]) == (name in ("mean", "deviation")), name


def test_the_loss_is_that_of_the_answers_tokens_alone(world, learned):
    card, model = ProjectionCard.load(learned), load(world, learned)
    names = dict((path.stem, (path, name)) for path, name in tones(world / "train"))
    held_out = [names[identity] for identity in card.held_out]
    scores = model.score([asked(path) for path, _ in held_out], NAMES)
    right = [NAMES.index(name) for _, name in held_out]
    total = -scores.log_probabilities[range(len(right)), right].sum()
    assert card.history[card.best - 1]["held_out"] == pytest.approx(total / scores.lengths[right].sum(), rel=1e-4)
    assert card.answers == {"train": 96, "held_out": 24} == card.dialogues


def test_an_interrupted_run_ends_as_if_it_had_not_been(world, learned):
    folder, taught = world / "resumed", dialogues(tones(world / "train"))
    with pytest.raises(KeyboardInterrupt, match="epoch 3 is begun again by the same command"):
        train_projection(recipe(world), taught, encoder(world), folder, stopped_at(15))
    assert not folder.exists()
    card = train_projection(recipe(world), taught, encoder(world), folder)
    assert card == ProjectionCard.load(learned)
    assert same(numbers(folder), numbers(learned))
    assert not (world / "resumed.training").exists()


def test_the_best_epoch_is_kept_and_learning_stops_when_it_gets_no_better(world, learned):
    card = ProjectionCard.load(learned)
    losses = [epoch["held_out"] for epoch in card.history]
    assert card.best == 1 + int(np.argmin(losses)) < len(losses)
    patient = recipe(world, training=TRAINING.model_copy(update={"patience": 1, "learning_rate": 0.03}))
    stopped = train_projection(patient, dialogues(tones(world / "train")), encoder(world), world / "stopped")
    assert len(stopped.history) == stopped.best + 1 < TRAINING.epochs


def test_the_rate_rises_over_a_tenth_of_the_steps_and_falls_along_a_cosine(world, monkeypatch):
    rates, lengths, step = [], [], torch.optim.AdamW.step

    def noted(self, *arguments):
        rates.append(self.param_groups[0]["lr"])
        lengths.append(sum(each.grad.square().sum() for each in self.param_groups[0]["params"]).sqrt().item())
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    training = TRAINING.model_copy(update={"epochs": 5, "learning_rate": None})  # 5 epochs of 6 steps
    train_projection(recipe(world, training=training), dialogues(tones(world / "train")), encoder(world), world / "r")
    falling = (1 + np.cos(np.pi * np.arange(30) / 30)) / 2
    assert rates == pytest.approx(3e-4 * falling * np.minimum(np.arange(1, 31) / 3, 1))
    assert max(lengths) == pytest.approx(1, rel=1e-4)  # of gradients: longer ones are cut


def test_every_epoch_takes_all_answers_in_an_order_of_its_own(world, monkeypatch):
    seen, collate = [], Collator.__call__

    def noted(self, rows):
        seen.append([tuple(each.prompt.input_ids.tolist()) for each in rows])
        return collate(self, rows)

    monkeypatch.setattr(Collator, "__call__", noted)
    training = TRAINING.model_copy(update={"epochs": 2})
    train_projection(recipe(world, training=training), dialogues(tones(world / "train")), encoder(world), world / "o")
    # Six batches of an epoch, then two of what is held out.
    first, second = (list(itertools.chain(*seen[start : start + 6])) for start in (0, 8))
    assert sorted(first) == sorted(second) and len({*first}) == 96
    assert first != second and first != sorted(first)


def test_how_many_are_in_memory_at_once_changes_nothing(world):
    found = []
    for at_once in (16, 5):
        training = TRAINING.model_copy(update={"epochs": 2, "at_once": at_once})
        folder = world / f"portions-{at_once}"
        train_projection(recipe(world, training=training), dialogues(tones(world / "train")), encoder(world), folder)
        found.append(numbers(folder)["weight"])
    torch.testing.assert_close(*found, rtol=1e-2, atol=1e-5)


def test_what_was_made_from_the_same_is_kept(world, learned):
    def broken(*arguments: Any) -> Any:
        raise AssertionError("nothing has to be learned")

    again = encoder(world)
    again.vectors = broken
    taught = dialogues(tones(world / "train"))
    assert train_projection(recipe(world), taught, again, learned) == ProjectionCard.load(learned)
    for other, told in (
        (recipe(world, seed=1), taught),
        (recipe(world, tokens=3), taught),
        (recipe(world), taught[1:]),
    ):
        with pytest.raises(AssertionError, match="nothing has to be learned"):
            train_projection(other, told, again, learned)


def test_dialogues_about_the_same_sounds_are_held_out_together():
    def about(identity: str, *sounds: str) -> TaughtDialogue:
        return TaughtDialogue(identity, tuple(Example("", asked(Path(sound)), "低") for sound in sounds))

    many = [about("a", "1.wav"), about("b", "1.wav", "2.wav"), about("c", "2.wav"), about("d", "3.wav")]
    for seed in range(10):
        taught, held_out = hold_out_dialogues(many, 0.2, seed)
        assert {"".join(each.id for each in part) for part in (taught, held_out)} == {"abc", "d"}
    assert {hold_out_dialogues(many, 0.2, seed)[1][0].id for seed in range(10)} == {"a", "d"}
    eight = [about(str(row), f"{row}.wav") for row in range(8)]
    assert len(hold_out_dialogues(eight, 0.5, 0)[1]) == 4
    assert hold_out_dialogues(eight, 0.5, 0) == hold_out_dialogues(eight, 0.5, 0)
    with pytest.raises(
        KdslError, match="3 dialogues about the same sounds or pictures are too few to learn from some"
    ):
        hold_out_dialogues(many[:3], 0.2, 0)


def test_a_loss_that_is_no_number_is_told(world):
    training = TRAINING.model_copy(update={"learning_rate": 1e38})
    with pytest.raises(KdslError, match=r"the loss in epoch 1 is (nan|inf); lower training.learning_rate"):
        train_projection(
            recipe(world, training=training), dialogues(tones(world / "train")), encoder(world), world / "x"
        )
    assert not (world / "x").exists()


def test_a_damaged_state_is_told(world):
    folder = world / "damaged"
    with pytest.raises(KeyboardInterrupt):
        train_projection(recipe(world), dialogues(tones(world / "train")), encoder(world), folder, stopped_at(9))
    (world / "damaged.training/state.pt").write_bytes(b"?")
    with pytest.raises(KdslError, match=r"state.pt: not the state of a training .*; delete it to begin anew"):
        train_projection(recipe(world), dialogues(tones(world / "train")), encoder(world), folder)
