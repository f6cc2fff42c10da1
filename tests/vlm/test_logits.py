"""Logits are computed where something is scored or chosen, never for whole prompts, and in 32 bits."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_hearing  # noqa: E402
import tiny_qwen2vl  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from kdsl.vlm import scoring  # noqa: E402
from kdsl.vlm.conversation import ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402

OPTIONS = ("红退", "红", "蓝", "一个长得多的标签")
BUILDERS = {
    "qwen2_vl": tiny_qwen2vl.build,
    "qwen2_audio": tiny_hearing.build_qwen2_audio,
    "omni": tiny_hearing.build_omni,
}


class Logits(TorchDispatchMode):
    """Rows and type of every tensor that is as wide as the vocabulary."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self.rows: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.ndim > 1 and made.shape[-1] == self._vocabulary:
            self.rows.add(made.numel() // self._vocabulary)
        return made


@pytest.mark.parametrize("name", BUILDERS)
def test_no_logits_for_whole_prompts(name: str, tmp_path: Path) -> None:
    model = LocalModel.load(str(BUILDERS[name](tmp_path)), device="cpu")
    conversations = [ask("我要退货。标签？"), ask("我要换货。" * 4 + "标签？")]
    vocabulary = model.model.lm_head.out_features
    after_the_first = sum(len(model.processor.answer_ids(option)) - 1 for option in OPTIONS)
    with Logits(vocabulary) as seen:
        model.score(conversations, OPTIONS)
    assert seen.rows == {len(conversations), len(conversations) * after_the_first}
    with Logits(vocabulary) as seen:
        model.generate(conversations, 3)
    assert seen.rows - {model.model.lm_head.in_features} <= {1, len(conversations)}  # the head itself is as wide, too


def test_parts_of_the_vocabulary_give_what_the_whole_gives(tmp_path, monkeypatch) -> None:
    model = LocalModel.load(str(tiny_qwen2vl.build(tmp_path)), device="cpu")
    batch = model.processor.batch([model.processor.encode(ask("标签？"))])
    options = [model.processor.answer_ids(option) for option in OPTIONS]
    whole = scoring.score_options(model.model, batch, options)
    monkeypatch.setattr(scoring, "VOCABULARY_AT_ONCE", 7)
    torch.testing.assert_close(scoring.score_options(model.model, batch, options), whole, atol=1e-5, rtol=0)


def test_logits_of_16_bit_weights_are_not_rounded_to_16_bits(tmp_path) -> None:
    """Large ones, as real models have: rounded, log-probabilities would be off by tenths."""
    model = LocalModel.load(str(tiny_qwen2vl.build(tmp_path)), device="cpu")
    batch = model.processor.batch([model.processor.encode(ask("标签？"))])
    options = [[token] for token in range(40, 60)]
    with torch.no_grad():
        model.model.lm_head.weight.mul_(100)
    half = model.model.to(torch.bfloat16)
    with torch.inference_mode():
        state = half.model(**batch).last_hidden_state[0, -1]
        expected = (half.lm_head.weight.double() @ state.double()).log_softmax(dim=0)[40:60]
        rounded = half.lm_head(state).double().log_softmax(dim=0)[40:60]
    scores = scoring.score_options(half, batch, options)[0]
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)
    assert (rounded - expected).abs().max() > 0.05
