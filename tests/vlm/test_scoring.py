"""Options are scored as one full forward an option scores them, with one pass over the prompt."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from transformers import Qwen2VLForConditionalGeneration  # noqa: E402

from kdsl.vlm import scoring  # noqa: E402
from kdsl.vlm.conversation import Conversation, Picture, ask  # noqa: E402
from kdsl.vlm.processor import Processor  # noqa: E402

METHODS = ("repeat", "pack")
OPTIONS = ("红退", "红退货", "蓝", "是", "一个长得多的标签，带有逗号")


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Qwen2VLForConditionalGeneration:
    return Qwen2VLForConditionalGeneration.from_pretrained(tiny_model, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def processor(tiny_model: Path) -> Processor:
    return Processor.load(tiny_model, tiny_qwen2vl.BUDGET)


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> list[Conversation]:
    """One picture, none, and two, with texts of different lengths."""
    folder = tmp_path_factory.mktemp("pages")
    pages = [tiny_qwen2vl.draw_page(folder / f"{i}.png", colour, False) for i, colour in enumerate("红蓝")]
    return [
        tiny_qwen2vl.classify(pages[0], "退"),
        ask("我要换货。" * 9, "标签？"),
        ask(Picture(pages[0]), "然后", Picture(pages[1]), "标签？"),
    ]


def naive(
    model: Qwen2VLForConditionalGeneration, processor: Processor, conversation: Conversation, option: str
) -> float:
    """One full forward over prompt and option."""
    prompt = processor.encode(conversation)
    batch = processor.batch([prompt])
    answer = torch.tensor([processor.answer_ids(option)])
    batch["input_ids"] = torch.cat([batch["input_ids"], answer], dim=1)
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    batch["mm_token_type_ids"] = torch.cat([batch["mm_token_type_ids"], 0 * answer], dim=1)
    with torch.inference_mode():
        log_p = model(**batch).logits[0, len(prompt) - 1 : -1].double().log_softmax(dim=-1)
    return log_p.gather(1, answer[0][:, None]).sum().item()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [OPTIONS, OPTIONS[:1]], ids=["several", "one"])
def test_equals_one_full_forward_an_option(model, processor, conversations, method, options) -> None:
    batch = processor.batch([processor.encode(conversation) for conversation in conversations])
    scores = scoring.score_options(model, batch, [processor.answer_ids(option) for option in options], method)
    expected = [
        [naive(model, processor, conversation, option) for option in options] for conversation in conversations
    ]
    assert scores.shape == (len(conversations), len(options))
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_prompts_without_pictures_after_prompts_with(model, processor, conversations, method) -> None:
    """What the model keeps of the last prompt's pictures must not move the positions of the next."""
    options = [processor.answer_ids(option) for option in OPTIONS]
    expected = [naive(model, processor, conversations[1], option) for option in OPTIONS]
    scoring.score_options(model, processor.batch([processor.encode(conversations[2])]), options, method)
    batch = processor.batch([processor.encode(conversations[1])])
    scores = scoring.score_options(model, batch, options, method)
    torch.testing.assert_close(scores[0], torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)


def test_method_is_what_takes_less_memory(model) -> None:
    labels, many_words = [3] * 23, [2] * 5000
    assert scoring.choose_method(model, 3500, labels) == "pack"
    assert scoring.choose_method(model, 10, many_words) == "repeat"


def test_option_that_begins_another_does_not_win_by_it(model, processor, conversations) -> None:
    """The end token counts: 红退 is the answer, 红 only begins it."""
    batch = processor.batch([processor.encode(conversations[0])])
    scores = scoring.score_options(model, batch, [processor.answer_ids(option) for option in ("红", "红退", "蓝退")])
    assert scores[0].argmax() == 1
    assert scores[0].exp()[1] > 0.9
