"""Fine-tuning beside a plain Trainer of transformers, which knows nothing of answers, packing or weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from accelerate.utils import set_seed  # noqa: E402
from transformers import Trainer  # noqa: E402

from kdsl.config_parts import TrainingConfig  # noqa: E402
from kdsl.models.large.prompts import Prompts  # noqa: E402
from kdsl.training import adapting  # noqa: E402
from kdsl.training.adapting import trainable_model  # noqa: E402
from kdsl.training.balance import balanced  # noqa: E402
from kdsl.training.data import TaskData  # noqa: E402
from kdsl.training.examples import Encoded, Example, Examples  # noqa: E402
from kdsl.training.fine_tuning import Recipe, fine_tune  # noqa: E402
from kdsl.training.label_trainer import training_arguments  # noqa: E402
from kdsl.training.portions import Portion  # noqa: E402
from kdsl.vlm.processor import Processor, collate  # noqa: E402

RATES = {"lora": 0.005, "full": 0.003}


class Plain:
    """The whole prompt and answer of every example, padded on the right, with labels of full length."""

    def __init__(self, processor: Processor, weights: bool = False) -> None:
        self._processor = processor
        self._weights = weights

    def __call__(self, rows: list[Encoded]) -> dict:
        whole = [row.prompt.followed_by(row.answer) for row in rows]
        batch = self._processor.inputs(collate(whole, self._processor.pad_id, side="right"), "cpu")
        batch["labels"] = torch.full_like(batch["input_ids"], -100)
        for number, (row, tokens) in enumerate(zip(rows, whole, strict=True)):
            batch["labels"][number, len(row.prompt) : len(tokens)] = torch.tensor(row.answer)
        if self._weights:
            batch["weights"] = torch.tensor([row.weight for row in rows])
        return batch


class Formula(Trainer):
    """The loss of a batch as it is written: Σ w · l / Σ w, with l = -(1 - ε) ln p(target) - ε mean ln p."""

    smoothing = 0.1

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels, weights = inputs.pop("labels")[:, 1:], inputs.pop("weights")[:, None]
        log_p = model(**inputs).logits[:, :-1].log_softmax(dim=-1)
        true = log_p.gather(2, labels.clamp(min=0)[..., None])[..., 0]
        losses = -(1 - self.smoothing) * true - self.smoothing * log_p.mean(dim=-1)
        counted = weights * (labels != -100)
        return (losses * counted).sum() / counted.sum()


def plain_losses(recipe: Recipe, examples: list[Example], folder: Path, kind: type[Trainer] = Trainer) -> list[float]:
    arguments = training_arguments(
        recipe.training, Portion(recipe.training.at_once, False), folder, recipe.seed, "cpu"
    )
    arguments.eval_strategy = arguments.save_strategy = "no"
    arguments.load_best_model_at_end = False
    set_seed(recipe.seed)
    processor = Processor.load(recipe.base, recipe.budget, recipe.max_tokens)
    trainer = kind(
        model=trainable_model(recipe.base, recipe.training, "cpu"),
        args=arguments,
        train_dataset=Examples(examples, processor),
        data_collator=Plain(processor, kind is Formula),
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_loss_curve_is_that_of_a_plain_trainer(random_base, shop, tmp_path, monkeypatch, method):
    """Over 20 steps of 4 samples, two at once; without dropout, whose masks depend on how samples lie in a batch."""
    monkeypatch.setattr(adapting, "DROPOUT", 0.0)
    training = TrainingConfig(method=method, epochs=2, learning_rate=RATES[method], batch=4, at_once=2)
    recipe = Recipe(str(random_base), Prompts(Path()), tiny_qwen2vl.BUDGET, 4096, training, 3, "cpu")
    card = fine_tune(recipe, [shop], tmp_path / "tuned")
    losses = [entry["loss"] for entry in card.history if "loss" in entry]
    expected = plain_losses(recipe, shop.examples(recipe.prompts, held_out=False), tmp_path / "plain")
    assert len(losses) == len(expected) == 20
    np.testing.assert_allclose(losses, expected, atol=1e-3)
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_weights_and_smoothing_follow_their_formula_however_many_are_in_memory(random_base, shop, tmp_path, at_once):
    """Two labels of four are rare; steps of 8 samples in batches of which some hold no rare one."""
    rows = [row for row in range(len(shop.table)) if shop.labels[row] < 2 or row % 5 == 0 or shop.held_out[row]]
    rare = TaskData(shop.task, shop.table.select(np.array(rows)), shop.labels[rows], shop.held_out[rows])
    training = TrainingConfig(
        method="full", epochs=2, learning_rate=0.002, batch=8 if at_once != 3 else 9, at_once=at_once, balance=1,
        label_smoothing=Formula.smoothing,
    )  # fmt: skip
    recipe = Recipe(str(random_base), Prompts(Path()), tiny_qwen2vl.BUDGET, 4096, training, 3, "cpu")
    card = fine_tune(recipe, [rare], tmp_path / "tuned")
    losses = [entry["loss"] for entry in card.history if "loss" in entry]
    whole = replace(recipe, training=training.model_copy(update={"at_once": training.batch}))
    examples = balanced(rare.examples(recipe.prompts, held_out=False), 1)
    assert len({example.weight for example in examples}) > 1
    np.testing.assert_allclose(losses, plain_losses(whole, examples, tmp_path / "plain", Formula), atol=1e-3)
