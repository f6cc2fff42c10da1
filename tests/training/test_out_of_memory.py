"""Training that runs out of memory: it goes on with less at once, or says what to change."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402

from kdsl.config_parts import TrainingConfig  # noqa: E402
from kdsl.errors import KdslError  # noqa: E402
from kdsl.models.large.prompts import Prompts  # noqa: E402
from kdsl.training.examples import Encoded, Example  # noqa: E402
from kdsl.training.fine_tuning import Recipe, fine_tune  # noqa: E402
from kdsl.training.label_trainer import LabelTrainer  # noqa: E402
from kdsl.training.portions import Portion, keep  # noqa: E402
from kdsl.training.probing import longest  # noqa: E402
from kdsl.vlm.conversation import Picture, ask  # noqa: E402
from kdsl.vlm.processor import Prompt  # noqa: E402


@pytest.fixture
def recipe(random_base) -> Recipe:
    training = TrainingConfig(epochs=2, learning_rate=0.005, batch=8, at_once=4)
    return Recipe(str(random_base), Prompts(Path()), tiny_qwen2vl.BUDGET, 4096, training, 3, "cpu")


def fail_where(monkeypatch: pytest.MonkeyPatch, too_much) -> list[tuple[int, bool]]:
    """Steps for which `too_much` holds run out of memory; what was tried is in the list."""
    tried, step = [], LabelTrainer.training_step

    def limited(self, *arguments, **named):
        arguments_of = self.args
        tried.append((arguments_of.per_device_train_batch_size, arguments_of.activation_checkpointing))
        if too_much(self):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, *arguments, **named)

    monkeypatch.setattr(LabelTrainer, "training_step", limited)
    return tried


def test_training_goes_on_from_the_last_epoch_and_ends_as_if_memory_had_sufficed(
    recipe, shop, tmp_path, monkeypatch, caplog
):
    """The first epoch of 5 steps of two portions is not done again; with checkpointing the same is computed."""
    whole = fine_tune(recipe, [shop], tmp_path / "whole")
    assert whole.in_memory == "4 at once without activation checkpointing"
    tried = fail_where(
        monkeypatch, lambda trainer: trainer.state.global_step == 7 and not trainer.args.activation_checkpointing
    )
    with caplog.at_level(logging.WARNING):
        card = fine_tune(recipe, [shop], tmp_path / "tuned")
    assert tried == [(4, False)] * 15 + [(4, True)] * 10
    assert card.in_memory == "4 at once with activation checkpointing, after memory ran out with more"
    assert f"training goes on from the last epoch with {card.in_memory}" in caplog.text
    losses = [[entry["loss"] for entry in each.history if "loss" in entry] for each in (whole, card)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert card.fingerprint == whole.fingerprint


def test_where_not_even_one_sample_fits_it_is_told_what_to_change(recipe, shop, tmp_path, monkeypatch):
    """A lower setting is then followed, whatever was tried last."""
    tried = fail_where(monkeypatch, lambda trainer: True)
    with pytest.raises(KdslError, match=r"^out of memory on cpu in training; lower training\.at_once, pixels\.max or"):
        fine_tune(recipe, [shop], tmp_path / "tuned")
    assert tried == [(4, False), (4, True), (2, True), (1, True)]
    keep(tmp_path / "tuned.training", Portion(4, False))
    monkeypatch.undo()
    lower = replace(recipe, training=recipe.training.model_copy(update={"at_once": 2}))
    assert fine_tune(lower, [shop], tmp_path / "tuned").in_memory == "2 at once without activation checkpointing"


def test_the_longest_samples_are_found_without_encoding_all(tmp_path):
    """A picture counts as many tokens as its pixels allow, and what is encoded decides among those that look long."""
    page = Picture(tmp_path / "page.png")
    examples = [Example("t", ask("字" * (row % 50)), "红") for row in range(200)]
    examples[150] = Example("t", ask(page, "字"), "红")
    encoded = []

    class Counted:
        def __getitem__(self, row: int) -> Encoded:
            encoded.append(row)
            tokens = 90 if row == 150 else row % 50
            return Encoded(Prompt(torch.zeros(tokens, dtype=torch.long)), [1, 2])

    rows = longest(examples, Counted(), 100 * 28 * 28)
    assert rows[0] == 150
    assert [row % 50 for row in rows[1:5]] == [49] * 4
    assert len(encoded) == len(rows) == 64
