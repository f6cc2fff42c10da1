"""Qwen2.5-VL and Qwen3-VL go through the same code: picture sizes, batches, exact scores, generation."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from tiny_families import write_family  # noqa: E402

from kdsl.vlm.conversation import Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.scoring import score_options  # noqa: E402

OPTIONS = ("红退", "红", "一个长的标签")


@pytest.mark.parametrize(("family", "patch"), [("qwen2_5_vl", 14), ("qwen3_vl", 16)])
def test_family_is_scored_exactly_and_generates(family: str, patch: int, tmp_path: Path) -> None:
    model = LocalModel.load(str(write_family(tmp_path / "other", family)))
    page = Picture(tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", True))
    conversations = [ask(page, "标签？"), ask("没有图片的长一些的问题，标签？"), ask(page, "和", page, "标签？")]

    side = round(56 / (2 * patch))
    assert model.processor.encode(conversations[0]).mm_token_type_ids.sum() == side * side
    batch = model.processor.batch([model.processor.encode(conversation) for conversation in conversations])
    answers = [model.processor.answer_ids(option) for option in OPTIONS]
    expected = [[one_forward(model, conversation, answer) for answer in answers] for conversation in conversations]
    for method in ("repeat", "pack"):
        np.testing.assert_allclose(score_options(model.model, batch, answers, method), expected, atol=1e-4)
    assert all(answer.output_tokens <= 3 for answer in model.generate(conversations, max_new_tokens=3))


def one_forward(model: LocalModel, conversation, answer: list[int]) -> float:
    batch = model.processor.batch([model.processor.encode(conversation)])
    more = torch.tensor([answer])
    for name, part in (("input_ids", more), ("attention_mask", more * 0 + 1), ("mm_token_type_ids", more * 0)):
        batch[name] = torch.cat([batch[name], part], dim=1)
    with torch.inference_mode():
        log_p = model.model(**batch).logits[0, -len(answer) - 1 : -1].double().log_softmax(dim=-1)
    return log_p.gather(1, more[0][:, None]).sum().item()
