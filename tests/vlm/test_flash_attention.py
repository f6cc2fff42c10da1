"""With flash-attention, options are still packed: the prompt goes through it, the options through SDPA."""

import copy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_causal  # noqa: E402
import tiny_hearing  # noqa: E402
import tiny_qwen2vl  # noqa: E402
from torch_flash import use_flash  # noqa: E402

from kdsl.vlm import checkpoint  # noqa: E402
from kdsl.vlm.conversation import Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.processor import Processor, Prompt  # noqa: E402
from kdsl.vlm.scoring import choose_method, score_options  # noqa: E402

OPTIONS = ("红退", "红", "一个长得多的标签")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalModel]:
    folder = tmp_path_factory.mktemp("models")
    folders = {
        "qwen2_vl": tiny_qwen2vl.build(folder / "qwen2_vl"),
        "omni": tiny_hearing.build_omni(folder / "omni"),
        "qwen2": tiny_causal.write_causal(folder / "qwen2", "qwen2"),
        "mistral": tiny_causal.write_causal(folder / "mistral", "mistral"),
    }
    return {name: LocalModel.load(str(path), tiny_qwen2vl.BUDGET, device="cpu") for name, path in folders.items()}


def full_forwards(local: LocalModel, prompts: list[Prompt], options: list[list[int]]) -> torch.Tensor:
    """[prompts, options]: one forward each over prompt and option, without padding."""
    rows = []
    for prompt in prompts:
        for option in options:
            batch = local.processor.batch([prompt.followed_by(option)])
            with torch.inference_mode():
                log_p = local.model(**batch).logits[0, -len(option) - 1 : -1].double().log_softmax(dim=-1)
            rows.append(log_p.gather(1, torch.tensor(option)[:, None]).sum())
    return torch.stack(rows).view(len(prompts), len(options))


def prompts_of(processor: Processor, folder: Path) -> list[Prompt]:
    """Of different lengths, so that all but one are padded; with a picture where the model sees."""
    texts = ["标签？", "我要换货。" * 5 + "标签？", "我要退货。标签？"]
    page = [Picture(tiny_qwen2vl.draw_page(folder / "page.png", "红", True))] if processor.sees else []
    return [processor.encode(ask(*page[: row % 2], text)) for row, text in enumerate(texts)]


@pytest.mark.parametrize("name", ["qwen2_vl", "omni", "qwen2"])
def test_packed_options_score_as_full_forwards(built, name, tmp_path, monkeypatch) -> None:
    local = built[name]
    prompts = prompts_of(local.processor, tmp_path)
    options = [local.processor.answer_ids(option) for option in OPTIONS]
    expected = full_forwards(local, prompts, options)
    model = copy.deepcopy(local.model)
    calls = use_flash(model, monkeypatch)
    batch = local.processor.batch(prompts)
    assert choose_method(model, batch["input_ids"].shape[1], [len(option) for option in options]) == "pack"
    torch.testing.assert_close(score_options(model, batch, options), expected, atol=1e-5, rtol=0)
    real = int(batch["attention_mask"].sum())
    assert calls.count((real, real)) == model.config.get_text_config().num_hidden_layers  # the prompts, unpadded
    assert model.config.get_text_config()._attn_implementation == "flash_attention_2"


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2"])
def test_repeated_options_score_as_full_forwards(built, name, tmp_path, monkeypatch) -> None:
    local = built[name]
    prompts = prompts_of(local.processor, tmp_path)
    options = [local.processor.answer_ids(option) for option in OPTIONS]
    expected = full_forwards(local, prompts, options)
    model = copy.deepcopy(local.model)
    use_flash(model, monkeypatch)
    batch = local.processor.batch(prompts)
    torch.testing.assert_close(score_options(model, batch, options, "repeat"), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("flash", [False, True], ids=["sdpa", "flash"])
@pytest.mark.parametrize(("longer", "method"), [(0, "pack"), (1, "repeat")])
def test_a_sliding_window_that_covers_prompt_and_option_packs(built, flash, longer, method, monkeypatch) -> None:
    """The window is 16 tokens; in the prompts one more token than 16 and option have is seen by not all."""
    local = built["mistral"]
    options = [[5, 6, 7], [8, 9], [5, 9, 4, 3]]
    window = local.model.config.sliding_window
    lengths = [window - 4 + longer, 7]
    source = torch.Generator().manual_seed(0)
    prompts = [Prompt(torch.randint(3, 200, (length,), generator=source)) for length in lengths]
    expected = full_forwards(local, prompts, options)
    model = copy.deepcopy(local.model)
    if flash:
        use_flash(model, monkeypatch)
    assert choose_method(model, max(lengths), [len(option) for option in options]) == method
    scores = score_options(model, local.processor.batch(prompts), options)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


def test_flash_is_used_again_after_an_error(built, tmp_path, monkeypatch) -> None:
    local = built["qwen2_vl"]
    model = copy.deepcopy(local.model)
    use_flash(model, monkeypatch)
    batch = local.processor.batch(prompts_of(local.processor, tmp_path))
    options = [local.processor.answer_ids(option) for option in OPTIONS]

    def full(**named: object) -> None:
        assert model.config.get_text_config()._attn_implementation == "sdpa"
        raise torch.OutOfMemoryError("CUDA out of memory")

    forward = model.model.forward
    answers = {True: forward, False: full}
    monkeypatch.setattr(model.model, "forward", lambda **named: answers["pixel_values" in named](**named))
    with pytest.raises(torch.OutOfMemoryError):
        score_options(model, batch, options, "pack")
    assert model.config.get_text_config()._attn_implementation == "flash_attention_2"


@pytest.mark.parametrize(
    ("installed", "capability", "chosen"),
    [
        ((), (9, 0), "sdpa"),
        ((2,), (8, 0), "flash_attention_2"),
        ((2, 3), (9, 0), "flash_attention_3"),
        ((2, 3), (8, 0), "flash_attention_2"),
        ((3,), (8, 0), "sdpa"),
    ],
)
def test_the_newest_flash_attention_that_runs_on_the_gpu_is_taken(installed, capability, chosen, monkeypatch) -> None:
    for version in (2, 3):
        monkeypatch.setattr(
            f"transformers.utils.is_flash_attn_{version}_available", lambda version=version: version in installed
        )
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert checkpoint._attention("cuda") == chosen
    assert checkpoint._attention("cpu") == "sdpa"
