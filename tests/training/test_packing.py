"""Examples packed into rows: what is computed is what each gives alone, whatever it shares a row with."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_hearing  # noqa: E402
import tiny_qwen2vl  # noqa: E402
from tiny_causal import write_causal  # noqa: E402
from tiny_families import write_family  # noqa: E402
from torch.nn.functional import cross_entropy, scaled_dot_product_attention  # noqa: E402
from transformers import AttentionInterface, PreTrainedModel  # noqa: E402
from transformers.masking_utils import AttentionMaskInterface, flash_attention_mask  # noqa: E402
from transformers.modeling_flash_attention_utils import prepare_fa_kwargs_from_position_ids  # noqa: E402

from kdsl.training.examples import Encoded, Example, Examples  # noqa: E402
from kdsl.training.loss import answer_logits, answer_loss  # noqa: E402
from kdsl.training.packing import Collator, blank_media, packed, row_tokens, rows_of  # noqa: E402
from kdsl.vlm.checkpoint import FAMILIES  # noqa: E402
from kdsl.vlm.conversation import Audio, Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402

HEARING = {"qwen2_audio": tiny_hearing.build_qwen2_audio, "qwen2_5_omni_thinker": tiny_hearing.build_omni}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalModel]:
    """One tiny model a family; none has seen a training."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for family in FAMILIES:
        if family in HEARING:
            path = HEARING[family](folder / family)
        elif FAMILIES[family].sees:
            path = write_family(folder / family, family)
        else:
            path = write_causal(folder / family, family)
        found[family] = LocalModel.load(str(path), tiny_qwen2vl.BUDGET)
    return found


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("media")
    pages = {name: tiny_qwen2vl.draw_page(folder / f"{name}.png", name, bar=True) for name in tiny_qwen2vl.COLOURS}
    tones = {name: tiny_hearing.write_tone(folder / f"{name}.wav", hertz, 0.4 + hertz / 4000)
             for name, hertz in tiny_hearing.HERTZ.items()}  # fmt: skip
    return pages | tones


def examples(model: LocalModel, media: dict[str, Path]) -> list[Encoded]:
    """Of different lengths and weights, with none, one and two pictures and sounds as the model takes them."""
    sees, hears = model.processor.sees, model.processor.hears
    red, blue = ([Picture(media[name])] * sees for name in "红蓝")
    low, high = ([Audio(media[name])] * hears for name in "低高")
    asked = [
        (ask(*red, *low, "我要退货。标签？"), "红退", 1.0),
        (ask("没有图片。" * 6), "蓝", 2.0),
        (ask(*blue, "和", *red, *high, "我要换货。"), "一个长的标签", 0.5),
        (ask(*low, "页面" * 9, *blue, *high, "？"), "换", 1.0),
    ]
    dataset = Examples([Example("t", c, answer, weight=weight) for c, answer, weight in asked], model.processor)
    return [dataset[row] for row in range(len(dataset))]


def learned(model: PreTrainedModel, batch: dict) -> tuple[float, dict]:
    """The loss, and the gradients of all weights."""
    model.zero_grad()
    loss = answer_loss(answer_logits(model, model, batch), batch["targets"], batch["weights"])
    loss.backward()
    return loss.item(), gradients(model)


def collated(model: LocalModel, rows: Sequence[Encoded], **how: Any) -> dict:
    """What the model is given of a batch."""
    return model.processor.inputs(Collator(model.processor, **how)(rows), "cpu")


def one_by_one(model: LocalModel, rows: Sequence[Encoded]) -> tuple[float, dict]:
    """The same by one plain forward an example, with logits of the whole of it."""
    model.model.zero_grad()
    total = sum(row.weight * len(row.answer) for row in rows)
    found = 0.0
    for row in rows:
        batch = model.processor.batch([row.prompt.followed_by(row.answer)])
        logits = model.model(**batch).logits[0, -len(row.answer) - 1 : -1]
        loss = row.weight * cross_entropy(logits, torch.tensor(row.answer), reduction="sum") / total
        loss.backward()
        found += loss.item()
    return found, gradients(model.model)


def gradients(model: PreTrainedModel) -> dict:
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def same(one: tuple[float, dict], other: tuple[float, dict]) -> None:
    assert one[0] == pytest.approx(other[0], abs=1e-5)
    assert one[1].keys() == other[1].keys()
    for name, gradient in one[1].items():
        torch.testing.assert_close(gradient, other[1][name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_the_examples_one_by_one(models, media, family):
    model = models[family]
    rows = examples(model, media)
    longest = max(len(row.prompt) + len(row.answer) for row in rows)
    batches = [collated(model, rows, row_tokens=row_tokens) for row_tokens in (None, longest + 40)]
    assert len(batches[0]["layout"]) == 1 < len(batches[1]["layout"]) < len(rows)
    expected = one_by_one(model, rows)
    for batch in batches:
        same(learned(model.model, batch), expected)


def attend_by_lengths(
    module, query, key, value, attention_mask, scaling, sliding_window=None, is_causal=None, **named
):
    """What flash-attention does: no mask is taken but the lengths of the examples, told or read off the positions."""
    assert attention_mask is None
    assert len(query) == 1
    lengths = named.get("cu_seq_lens_q")
    if lengths is None:
        (lengths, _), _ = prepare_fa_kwargs_from_position_ids(named["position_ids"])
    found = []
    for start, end in pairwise(lengths.tolist()):
        part, seen, held = (each[:, :, start:end] for each in (query, key, value))
        mask = torch.ones((end - start, end - start), dtype=torch.bool)
        if named.get("is_causal", module.is_causal):
            mask = mask.tril().triu(1 - sliding_window if sliding_window else -len(mask))
        seen, held = (each.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for each in (seen, held))
        found.append(scaled_dot_product_attention(part, seen, held, mask, scale=scaling))
    return torch.cat(found, dim=2).transpose(1, 2), None


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen2_5_omni_thinker", "qwen2", "mistral"])
def test_attention_by_lengths_gives_the_same_without_a_mask(models, media, family):
    model = models[family]
    rows = examples(model, media)
    assert row_tokens(model.model) == 4096
    expected = one_by_one(model, rows)
    AttentionInterface.register("flash_like", attend_by_lengths)
    AttentionMaskInterface.register("flash_like", flash_attention_mask)
    model.model.config._attn_implementation = "flash_like"
    try:
        assert row_tokens(model.model) is None
        same(learned(model.model, collated(model, rows, row_tokens=row_tokens(model.model))), expected)
    finally:
        model.model.config._attn_implementation = "sdpa"


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_audio", "qwen2_5_omni_thinker"])
def test_a_dummy_changes_nothing_and_is_given_where_its_kind_is_missing(models, media, family):
    model = models[family]
    rows = examples(model, media)
    dummies = blank_media(model.processor)
    plain, dummied = (collated(model, rows[1:2], dummies=each) for each in ((), dummies))
    held = {"pixel_values": model.processor.sees, "input_features": model.processor.hears}
    for name, given in held.items():
        assert name not in plain
        assert (name in dummied) == given
    assert dummied["targets"].tolist() == plain["targets"].tolist()
    one, other = learned(model.model, dummied), learned(model.model, plain)
    assert one[0] == pytest.approx(other[0], abs=1e-5)
    for name, gradient in other[1].items():
        torch.testing.assert_close(one[1][name], gradient, atol=1e-5, rtol=1e-4)
    full, same_full = (collated(model, rows, dummies=each) for each in ((), dummies))
    assert full["layout"].tolist() == same_full["layout"].tolist()


def test_no_logits_are_computed_but_for_answers(models, media):
    model = models["qwen2_audio"]
    batch = collated(model, examples(model, media))
    logits = answer_logits(model.model, model.model, batch)
    assert logits.shape == (len(batch["targets"]), model.model.config.get_text_config().vocab_size)
    whole = model.model(**packed(model.model, batch)).logits
    torch.testing.assert_close(logits, whole.flatten(0, 1)[batch["places"]])


@pytest.mark.parametrize(
    ("lengths", "most", "rows"),
    [
        ((5, 9, 3, 4), 10, [[1], [0, 3], [2]]),
        ((5, 9, 3, 4), 12, [[1, 2], [0, 3]]),
        ((5, 9, 3, 4), 6, [[1], [0, 3], [2]]),  # the longest is a row in any case, and others may be as long
        ((5, 9, 3, 4), None, [[0, 1, 2, 3]]),
        ((7,), 4, [[0]]),
    ],
)
def test_rows_take_the_longest_that_fits(lengths, most, rows):
    assert rows_of(lengths, most) == rows
