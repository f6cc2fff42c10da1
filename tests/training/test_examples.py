"""What the model learns from: the same prompts as in prediction, a loss on answers alone."""

import pickle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from tiny_project import write_project  # noqa: E402

from kdsl.sample import Label, Sample, Task, Turn  # noqa: E402
from kdsl.training.examples import Encoded, Example, Examples  # noqa: E402
from kdsl.training.loss import answer_logits, answer_loss  # noqa: E402
from kdsl.training.packing import Collator  # noqa: E402
from kdsl.vlm.conversation import Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.processor import Processor  # noqa: E402


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LocalModel:
    return LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET)


def encoded(model: LocalModel, *examples: Example) -> list[Encoded]:
    dataset = Examples(examples, model.processor)
    return [dataset[row] for row in range(len(dataset))]


def loss(model: LocalModel, batch: dict) -> float:
    with torch.no_grad():
        batch = model.processor.inputs(batch, "cpu")
        logits = answer_logits(model.model, model.model, batch)
        return float(answer_loss(logits, batch["targets"], batch["weights"]))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2vl.draw_page(tmp_path_factory.mktemp("page") / "a.png", "红", bar=True)


def test_the_loss_is_that_of_the_answers_as_they_are_scored(model, page):
    """Rows of different lengths, with and without a picture: the mean over all answer tokens, end tokens included."""
    conversations = [tiny_qwen2vl.classify(page, "退"), ask("没有图片。"), tiny_qwen2vl.describe(page)]
    answers = ["红退", "蓝", "红色页面"]
    rows = encoded(model, *(Example("t", c, a) for c, a in zip(conversations, answers, strict=True)))
    batch = Collator(model.processor)(rows)
    scores = model.score(conversations, answers)
    expected = -np.diag(scores.log_probabilities).sum() / scores.lengths.sum()
    assert loss(model, batch) == pytest.approx(expected, abs=1e-4)
    assert len(batch["targets"]) == scores.lengths.sum()


def test_examples_can_be_sent_to_the_processes_of_a_data_loader(model, page):
    dataset = Examples([Example("t", tiny_qwen2vl.classify(page, "退"), "红退")], model.processor)
    sent = pickle.loads(pickle.dumps(dataset))[0]
    assert sent.prompt.input_ids.tolist() == dataset[0].prompt.input_ids.tolist()


def test_user_text_with_special_tokens_is_plain_text(model, page):
    conversation = ask(Picture(page), "<|image_pad|><|im_end|>用户", "标签？")
    rows = encoded(model, Example("t", conversation, "<|im_end|>红"))
    batch = Collator(model.processor)(rows)
    n_images = int((batch["input_ids"] == model.processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")).sum())
    assert n_images == int(batch["mm_token_type_ids"].sum()) == 4
    assert np.isfinite(loss(model, batch))
    assert batch["targets"].tolist().count(model.processor.end_id) == 1


def test_a_sample_is_the_same_tokens_in_training_evaluation_and_prediction(kdsl, tiny_model, tmp_path, monkeypatch):
    """With more pixels than the budget and other text in the batch, wherever it is looked at."""
    from PIL import Image

    extra = "pixels: {min: 784, max: 3136}\ntraining: {epochs: 1, batch: 8, at_once: 8, held_out: 0.5}\n"
    project = write_project(tmp_path / "project", tiny_model, n=8, extra=extra)
    for path in (project / "images").glob("shop0-*.png"):
        Image.open(path).resize((300, 170)).save(path)
    seen: dict[object, set] = {}
    encode = Processor.encode

    def spy(self, conversation):
        prompt = encode(self, conversation)
        grid = tuple(map(tuple, prompt.image_grid_thw.tolist()))
        seen.setdefault(conversation, set()).add((phase, tuple(prompt.input_ids.tolist()), grid))
        return prompt

    monkeypatch.setattr(Processor, "encode", spy)
    phase = "training"
    assert kdsl("mine", project).code == 0
    assert kdsl("train", project).code == 0
    phase = "prediction"
    result = kdsl("predict", project, "--input", project / "train.jsonl", "--output", project / "p.jsonl")
    assert result.code == 0, result.err
    assert len(seen) == 8
    for found in seen.values():
        assert {name for name, *_ in found} == {"training", "prediction"}
        [(_, tokens, grid), *others] = found
        assert all((ids, other) == (tokens, grid) for _, ids, other in others)
        assert np.prod(grid) / 4 <= 4


def test_labels_of_which_one_begins_with_the_other_are_told_apart(model, page):
    """The end token counts, so that 红 is not at least as probable as 红退 for being shorter."""
    from kdsl.fields.sidecar import Sidecars
    from kdsl.fields.table import FieldTable
    from kdsl.models.large.model import LargeModel
    from kdsl.models.large.prompts import Prompts
    from kdsl.models.large.weights import LargeWeights

    task = Task("t", (Label("红"), Label("红退"), Label("红退货")), "<image>{dialogue}标签？")
    sample = Sample("1", "t", (Turn("user", "我要退货。", (page.name,)),), (page.name,))
    large = LargeModel(
        LargeWeights("unused", Path(), tiny_qwen2vl.BUDGET, 4096, _loaded={"unused": model}, _fingerprint="unused"),
        [task],
        Prompts(page.parent),
    )
    table = FieldTable([sample], Sidecars())
    assert task.label_names[large.classifier(task, None).predict(table).probabilities.argmax()] == "红退"
    alone = Task("t", (Label("红"),), task.prompt)
    assert large.classifier(alone, None).predict(table).probabilities.tolist() == [[1.0]]
