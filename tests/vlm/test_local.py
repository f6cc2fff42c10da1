"""The local backend: loading, answering in batches, exact choices, adapters, and going on when memory runs out."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import peft  # noqa: E402
import tiny_qwen2vl  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm import batching  # noqa: E402
from kdsl.vlm.conversation import Conversation, Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.model import VisionLanguageModel  # noqa: E402
from kdsl.vlm.processor import Prompt  # noqa: E402

LANGUAGE_MODEL = r"^model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)$"


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LocalModel:
    return LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> list[tiny_qwen2vl.Example]:
    return tiny_qwen2vl.world(tmp_path_factory.mktemp("held-out"), 12, seed=1)


def only(examples: Sequence[tiny_qwen2vl.Example], answers: Sequence[str]) -> tuple[list[Conversation], list[str]]:
    chosen = [example for example in examples if example[1] in answers]
    return [conversation for conversation, _ in chosen], [answer for _, answer in chosen]


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    """A LoRA adapter with random weights, which changes the answers."""
    return save_adapter(tiny_model, tmp_path / "adapter", seed=1)


def save_adapter(base: Path, folder: Path, seed: int, r: int = 4) -> Path:
    from transformers import Qwen2VLForConditionalGeneration

    torch.manual_seed(seed)
    config = peft.LoraConfig(r=r, lora_alpha=8, target_modules=LANGUAGE_MODEL, init_lora_weights=False)
    peft.get_peft_model(Qwen2VLForConditionalGeneration.from_pretrained(base), config).save_pretrained(folder)
    return folder


def rewrite_adapter(folder: Path, rename: dict[str, str], **config: object) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    for old, new in rename.items():
        weights = {key.replace(old, new): weight for key, weight in weights.items()}
    save_file(weights, folder / "adapter_model.safetensors")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))


def test_learned_answers_are_generated(model: VisionLanguageModel, held_out) -> None:
    """Prompts of different lengths, left-padded in one batch: labels, visual questions and captions."""
    answers = model.generate([conversation for conversation, _ in held_out], max_new_tokens=12)
    right = [answer.text == truth for answer, (_, truth) in zip(answers, held_out, strict=True)]
    assert np.mean(right) >= 0.9
    assert [answer.output_tokens for answer in answers] == [len(answer.text) + 1 for answer in answers]
    assert {answer.calls for answer in answers} == {1}


def test_generation_stops_at_the_limit(model: VisionLanguageModel, held_out) -> None:
    [answer] = model.generate([held_out[4][0]], max_new_tokens=2)
    assert (answer.text, answer.output_tokens) == (held_out[4][1][:2], 2)


def test_learned_labels_are_scored(model: VisionLanguageModel, held_out) -> None:
    conversations, truth = only(held_out, tiny_qwen2vl.LABELS)
    scores = model.score(conversations, tiny_qwen2vl.LABELS)
    best = scores.log_probabilities.argmax(axis=1)
    assert np.mean([tiny_qwen2vl.LABELS[i] == label for i, label in zip(best, truth, strict=True)]) >= 0.9
    assert scores.lengths.tolist() == scores.output_tokens[: len(scores.lengths)].tolist() == [3, 3, 3, 3]
    assert not scores.estimated


def test_choices_are_the_best_scored_options(model: VisionLanguageModel, held_out) -> None:
    conversations, _ = only(held_out, tiny_qwen2vl.LABELS)
    choices = ("红", "红退", "没有的标签", "蓝换")
    answers = model.generate(conversations, max_new_tokens=1, choices=choices)
    best = model.score(conversations, choices).log_probabilities.argmax(axis=1)
    assert [answer.text for answer in answers] == [choices[i] for i in best]


def test_one_choice_is_always_taken(model: VisionLanguageModel, held_out) -> None:
    assert model.generate([held_out[0][0]], 5, choices=["蓝换"])[0].text == "蓝换"


def test_order_and_batches_do_not_matter(model: LocalModel, held_out, monkeypatch) -> None:
    conversations, _ = only(held_out, tiny_qwen2vl.LABELS)
    mixed = [ask("没有图片" * 9, "标签？"), *conversations, ask(*conversations[0][0].pieces, "再说一遍，标签？")]
    together = model.score(mixed, tiny_qwen2vl.LABELS).log_probabilities
    monkeypatch.setattr(batching, "CPU_TOKENS", 1)
    alone = model.score(mixed, tiny_qwen2vl.LABELS).log_probabilities
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_nothing_asked_nothing_answered(model: VisionLanguageModel) -> None:
    assert model.generate([], 5) == []
    assert model.score([], ["是", "否"]).log_probabilities.shape == (0, 2)


@pytest.mark.parametrize("options", [[], ["是", "是"], ["是", ""]])
def test_options_must_be_told_apart(model: VisionLanguageModel, held_out, options: list[str]) -> None:
    with pytest.raises(ValueError, match="different and not empty"):
        model.score([held_out[0][0]], options)


def test_out_of_memory_halves_the_batch(tiny_model: Path, adapter: Path, held_out, monkeypatch) -> None:
    """What was learned about memory holds for later calls, and for other adapters of the same weights."""
    model = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET, adapters={"intent": adapter})
    conversations, _ = only(held_out, tiny_qwen2vl.LABELS)
    conversations = conversations[:8]
    expected = model.score(conversations, tiny_qwen2vl.LABELS).log_probabilities
    sizes = run_out_of_memory_above(2, model, monkeypatch)
    scores = model.score(conversations, tiny_qwen2vl.LABELS)
    np.testing.assert_allclose(scores.log_probabilities, expected, atol=1e-4)
    assert sizes == [8, 4, 2, 2, 2, 2]
    other = model.with_adapter(None)
    sizes = run_out_of_memory_above(2, other, monkeypatch)
    other.score(conversations, tiny_qwen2vl.LABELS)
    assert sizes == [2, 2, 2, 2]


def test_out_of_memory_with_a_single_prompt(tiny_model: Path, held_out, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET)
    run_out_of_memory_above(0, model, monkeypatch)
    with pytest.raises(KdslError, match="out of memory on cpu with a single prompt of 35 tokens; lower the pixel"):
        model.generate([held_out[0][0]], 3)


def run_out_of_memory_above(limit: int, model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batches of more than `limit` prompts fail as on a full GPU; the sizes that were tried."""
    tried: list[int] = []
    batch = model._batch

    def full(prompts: list[Prompt]) -> dict[str, torch.Tensor]:
        tried.append(len(prompts))
        if len(prompts) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return batch(prompts)

    monkeypatch.setattr(model, "_batch", full)
    return tried


def test_adapters_share_the_base(tiny_model: Path, adapter: Path, tmp_path: Path, held_out) -> None:
    other = save_adapter(tiny_model, tmp_path / "other", seed=2)
    alone = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET)
    both = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET, adapters={"intent": adapter, "scene": other})
    conversations, _ = only(held_out[:10], tiny_qwen2vl.LABELS)

    def answers(model: LocalModel) -> np.ndarray:
        return model.score(conversations, tiny_qwen2vl.LABELS).log_probabilities

    intent, scene, base = both, both.with_adapter("scene"), both.with_adapter(None)
    first = answers(intent)
    np.testing.assert_allclose(answers(base), answers(alone), atol=1e-5)
    assert abs(answers(scene) - first).min() > 1e-3 and abs(first - answers(base)).min() > 1e-3
    np.testing.assert_allclose(answers(intent), first, atol=1e-5)
    assert len({model.identity for model in (intent, scene, base, alone)}) == 4
    with pytest.raises(KdslError, match="no adapter is called 'shop'; loaded are intent, scene"):
        both.with_adapter("shop")


def test_directory_of_an_adapter_names_its_base(tiny_model: Path, adapter: Path, held_out) -> None:
    named = LocalModel.load(str(adapter), tiny_qwen2vl.BUDGET)
    given = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET, adapters={"default": adapter})
    conversations = [held_out[0][0]]
    expected = given.score(conversations, tiny_qwen2vl.LABELS).log_probabilities
    np.testing.assert_array_equal(named.score(conversations, tiny_qwen2vl.LABELS).log_probabilities, expected)


@pytest.mark.parametrize(
    "target",
    [r"^model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)$", ["q_proj", "v_proj", "up_proj"]],
    ids=["pattern", "names"],
)
def test_adapter_of_the_old_module_layout_is_converted(tiny_model, adapter, held_out, caplog, target) -> None:
    """peft itself refuses the pattern, and with the names leaves the adapter's weights random with a mere warning."""
    conversations = [held_out[0][0]]
    new = LocalModel.load(str(adapter), tiny_qwen2vl.BUDGET).score(conversations, tiny_qwen2vl.LABELS)
    rewrite_adapter(adapter, {"model.language_model.layers": "model.layers"}, target_modules=target)
    old = LocalModel.load(str(adapter), tiny_qwen2vl.BUDGET).score(conversations, tiny_qwen2vl.LABELS)
    np.testing.assert_array_equal(old.log_probabilities, new.log_probabilities)
    assert "module names before transformers 4.52; they are converted" in caplog.text


def broken(base: Path, folder: Path, **config: object) -> str:
    """A copy of the model with another configuration."""
    shutil.copytree(base, folder)
    values = json.loads((folder / "config.json").read_text())
    text = values["text_config"] | config
    (folder / "config.json").write_text(json.dumps(values | {"text_config": text} | config))
    return str(folder)


def test_model_path_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KdslError, match="nowhere: no such model directory; name a directory, a hub id"):
        LocalModel.load(str(tmp_path / "nowhere"))
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KdslError, match=r"^checkpoints/run: no such model directory"):
        LocalModel.load("checkpoints/run")
    with pytest.raises(KdslError, match=r"^checkpoints: holds no model"):
        LocalModel.load("checkpoints")


def test_hub_id_that_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(KdslError, match=r"^nobody/no-model: no directory here, and cannot be fetched from the hub"):
        LocalModel.load("nobody/no-model")


def test_model_of_another_family(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(KdslError, match="a model of type 'gemma', which KDSL cannot run; take one of Qwen2-VL"):
        LocalModel.load(broken(tiny_model, tmp_path / "gemma", model_type="gemma"))
    with pytest.raises(KdslError, match=r"qwen2: cannot be loaded \("):
        LocalModel.load(broken(tiny_model, tmp_path / "qwen2", model_type="qwen2"))


def test_weights_that_do_not_fit_the_configuration(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(KdslError, match=r"lack 12 of the model's tensors, such as model\.language_model\.layers\.2"):
        LocalModel.load(
            broken(tiny_model, tmp_path / "deeper", num_hidden_layers=3, layer_types=["full_attention"] * 3)
        )
    with pytest.raises(KdslError, match=r"cannot be loaded \(its weights are not of this config.json\)"):
        LocalModel.load(broken(tiny_model, tmp_path / "wider", intermediate_size=96))


def test_configuration_that_contradicts_itself(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(KdslError, match=r"m: cannot be loaded \(`num_hidden_layers` \(3\) must be equal"):
        LocalModel.load(broken(tiny_model, tmp_path / "m", num_hidden_layers=3))


def test_weights_cut_short(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(broken(tiny_model, tmp_path / "m"))
    (folder / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(KdslError, match="m: cannot be loaded"):
        LocalModel.load(str(folder))


def test_adapter_of_another_base(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    rewrite_adapter(adapter, {"layers.1.": "layers.7."})
    with pytest.raises(
        KdslError, match=r"adapter for another base: the model has no model\.language_model\.layers\.7"
    ):
        LocalModel.load(str(adapter))
    narrow = save_adapter(tiny_model, tmp_path / "narrow", seed=1, r=2)
    rewrite_adapter(narrow, {}, r=4)
    with pytest.raises(KdslError, match="an adapter for a base of another size"):
        LocalModel.load(str(narrow))


def test_adapter_without_its_base(adapter: Path) -> None:
    rewrite_adapter(adapter, {}, base_model_name_or_path="/gone/base")
    with pytest.raises(KdslError, match="the base model /gone/base is not there; correct base_model_name_or_path"):
        LocalModel.load(str(adapter))


def test_adapter_directory_without_weights(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(KdslError, match="not a LoRA adapter"):
        LocalModel.load(str(tiny_model), adapters={"intent": tmp_path})


def test_picture_that_the_model_cannot_take(model: VisionLanguageModel, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(KdslError, match=r"a\.png: not an image that a model can take"):
        model.generate([ask(Picture(tmp_path / "a.png"), "标签？")], 3)


def test_a_conversation_s_vector_does_not_depend_on_its_batch(model: LocalModel, held_out) -> None:
    conversations = [conversation for conversation, _ in held_out[:5]]
    together = model.embed(conversations)
    assert together.shape == (5, model.model.config.get_text_config().hidden_size)
    alone = np.concatenate([model.embed([conversation]) for conversation in conversations])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-3
    assert model.embed([]).shape == (0, together.shape[1])


def test_a_vector_is_the_mean_of_the_last_hidden_states(model: LocalModel, held_out) -> None:
    conversation = held_out[0][0]
    batch = model._batch([model.processor.encode(conversation)])
    with torch.inference_mode():
        states = model.model(**batch, output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(model.embed([conversation])[0], states[0].float().mean(dim=0).numpy(), atol=1e-4)
