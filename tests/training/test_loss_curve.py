"""Fine-tuning beside a plain Trainer of transformers, which knows nothing of answers, packing or weights."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from accelerate.utils import set_seed  # noqa: E402
from transformers import Trainer  # noqa: E402

from kdsl.config_parts import TrainingConfig  # noqa: E402
from kdsl.fields.sidecar import Sidecars  # noqa: E402
from kdsl.fields.table import FieldTable  # noqa: E402
from kdsl.models.large.prompts import Prompts  # noqa: E402
from kdsl.sample import Label, Sample, Task, Turn  # noqa: E402
from kdsl.training import adapting  # noqa: E402
from kdsl.training.adapting import trainable_model  # noqa: E402
from kdsl.training.data import TaskData, hold_out  # noqa: E402
from kdsl.training.examples import Encoded, Examples  # noqa: E402
from kdsl.training.fine_tuning import Recipe, fine_tune  # noqa: E402
from kdsl.training.label_trainer import training_arguments  # noqa: E402
from kdsl.vlm.processor import Processor, collate  # noqa: E402

TASK = Task("shop", tuple(map(Label, tiny_qwen2vl.LABELS)), "<image>{dialogue}标签？")
RATES = {"lora": 0.005, "full": 0.003}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2vl.build(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def data(images: Path) -> TaskData:
    """48 samples, every third without a picture, 8 of them held out."""
    samples = []
    for index in range(48):
        label = tiny_qwen2vl.LABELS[index % 4]
        name = tiny_qwen2vl.draw_page(images / f"{index}.png", label[0], bar=index % 2 == 0, seed=index).name
        shown = (name,) if index % 3 else ()
        samples.append(
            Sample(str(index), "shop", (Turn("user", f"我要{label[1]}货。" * (1 + index % 5), shown),), shown, label)
        )
    labels = np.array([TASK.label_names.index(sample.label) for sample in samples])
    return hold_out(TASK, FieldTable(samples, Sidecars()), labels, 1 / 6, 0)


class Plain:
    """The whole prompt and answer of every example, padded on the right, with labels of full length."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def __call__(self, rows: list[Encoded]) -> dict:
        whole = [row.prompt.followed_by(row.answer) for row in rows]
        batch = collate(whole, self._processor.pad_id, side="right")
        batch["labels"] = torch.full_like(batch["input_ids"], -100)
        for number, (row, tokens) in enumerate(zip(rows, whole, strict=True)):
            batch["labels"][number, len(row.prompt) : len(tokens)] = torch.tensor(row.answer)
        return batch


def plain_losses(recipe: Recipe, data: TaskData, folder: Path) -> list[float]:
    arguments = training_arguments(recipe.training, folder, recipe.seed, "cpu")
    arguments.eval_strategy = arguments.save_strategy = "no"
    arguments.load_best_model_at_end = False
    set_seed(recipe.seed)
    processor = Processor.load(recipe.base, recipe.budget, recipe.max_tokens)
    trainer = Trainer(
        model=trainable_model(recipe.base, recipe.training, "cpu"),
        args=arguments,
        train_dataset=Examples(data.examples(recipe.prompts, held_out=False), processor),
        data_collator=Plain(processor),
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_loss_curve_is_that_of_a_plain_trainer(base, images, data, tmp_path, monkeypatch, method):
    """Over 20 steps of 4 samples, two at once; without dropout, whose masks depend on how samples lie in a batch."""
    monkeypatch.setattr(adapting, "DROPOUT", 0.0)
    training = TrainingConfig(method=method, epochs=2, learning_rate=RATES[method], batch=4, at_once=2)
    recipe = Recipe(str(base), Prompts(images), tiny_qwen2vl.BUDGET, 4096, training, 3, "cpu")
    card = fine_tune(recipe, [data], tmp_path / "tuned")
    losses = [entry["loss"] for entry in card.history if "loss" in entry]
    expected = plain_losses(recipe, data, tmp_path / "plain")
    assert len(losses) == len(expected) == 20
    np.testing.assert_allclose(losses, expected, atol=1e-3)
    assert losses[-1] < losses[0] - 0.3
