"""What a batch takes is calculated from the model's numbers, and is what scoring takes."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_causal  # noqa: E402
import tiny_hearing  # noqa: E402
import tiny_qwen2vl  # noqa: E402
from peak_memory import PeakMemory  # noqa: E402

from kdsl.vlm import scoring  # noqa: E402
from kdsl.vlm.conversation import Audio, Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.memory import Shape, batch_bytes  # noqa: E402

QWEN2_VL_7B = Shape(
    layers=28,
    hidden=3584,
    intermediate=18944,
    heads=28,
    kv_heads=4,
    head=128,
    vocabulary=152064,
    bytes=2,
    encoder=1280,
)
LABELS = [4] * 20 + [10] * 3
"""23 labels of 110 tokens."""


def test_a_7b_keeps_56_kib_a_token() -> None:
    assert QWEN2_VL_7B.cache == 2 * 28 * 4 * 128 * 2 == 57_344
    assert QWEN2_VL_7B.states == 2 * (6 * 3584 + 3 * 18944) == 156_672
    assert QWEN2_VL_7B.encoded == 2 * 18 * 1280 + 1176 * 6 == 53_136


def test_packed_options_share_the_prompt_s_cache() -> None:
    """8 prompts of 1,300 tokens, by hand: what is kept, one layer of it twice, and the prompts in one layer."""
    kept = 8 * (1300 + 110) * 57_344
    reading = 8 * 1300 * 156_672 + 8 * 1300**2 * 3
    assert batch_bytes(QWEN2_VL_7B, 8, 1300, LABELS) == kept + kept // 28 + reading
    assert batch_bytes(QWEN2_VL_7B, 8, 1300, LABELS) / 8 == pytest.approx(291e6, rel=0.01)


def test_repeated_options_each_have_the_prompt_s_cache() -> None:
    kept = 8 * 23 * (1300 + 10)
    answers = 8 * 23 * 10
    attending = answers * 1310 * 4 + 2 * kept * 28 * 128 * 2
    answering = answers * (156_672 + 8 * 4096 + 4 * 3584) + attending + 4 * 4096 * 3584
    expected = kept * 57_344 + kept * 57_344 // 28 + answering
    assert batch_bytes(QWEN2_VL_7B, 8, 1300, LABELS, method="repeat") == expected
    assert expected > 13.7e9


def test_pictures_count_where_they_need_more_than_the_language_model() -> None:
    few, many = (batch_bytes(QWEN2_VL_7B, 1, 1300, LABELS, patches) for patches in (2880, 28800))
    assert few == batch_bytes(QWEN2_VL_7B, 1, 1300, LABELS)
    assert many - few == 28800 * 53_136 - (1300 * 156_672 + 1300**2 * 3)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalModel]:
    folder = tmp_path_factory.mktemp("models")
    folders = {
        "qwen2_vl": tiny_qwen2vl.build(folder / "qwen2_vl"),
        "qwen2_audio": tiny_hearing.build_qwen2_audio(folder / "qwen2_audio"),
        "qwen3": tiny_causal.write_causal(folder / "qwen3", "qwen3"),
    }
    return {name: LocalModel.load(str(path), device="cpu") for name, path in folders.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["pack", "repeat"])
@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_audio", "qwen3"])
def test_scoring_takes_what_was_calculated(models, name, method, dtype, tmp_path: Path) -> None:
    """Never more; and at least half of it, lest batches be smaller than they might (of tiny encoders of sounds a
    quarter: their input is counted as large as that of pictures)."""
    local = models[name]
    local.model.to(dtype)
    page = Picture(tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", True))
    tone = Audio(tiny_hearing.write_tone(tmp_path / "tone.wav", 500))
    shown = {"qwen2_vl": [page], "qwen2_audio": [tone], "qwen3": []}[name]
    prompts = [local.processor.encode(ask(*shown, "我要退货。" * (30 - row))) for row in range(4)]
    options = [[5, 6, 7, 8], [9, 4, 3], [2, 11, 12, 13, 14]]
    pixels, sounds = prompts[0].pixel_values, prompts[0].input_features
    encoded = 0 if pixels is None else 4 * len(pixels)
    encoded += 0 if sounds is None else 4 * sounds.shape[-1] // 2
    lengths = [len(option) for option in options]
    longest = max(map(len, prompts))
    expected = batch_bytes(Shape.of(local.model), 4, longest, lengths, encoded, method)
    with PeakMemory() as measured:
        batch = local.processor.batch(prompts, local.model.device)
        scoring.score_options(local.model, batch, options, method)
    assert expected / (4 if name == "qwen2_audio" else 2) <= measured.peak <= expected
