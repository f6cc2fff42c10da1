"""A tiny Qwen2-VL that truly learns, for tests of everything that uses a vision-language model.

`build` writes a model directory with random weights (200 thousand parameters), laid out as the real ones are; `train`
trains it in full. The fixture `tiny_model` in tests/conftest.py is the trained directory, made once for a test run.

Its world: a screenshot is a red or a blue page, a customer writes 退 or 换, and the label tells both, so that neither
text nor picture alone gets more than half of the four labels right.
"""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from kdsl.vlm.conversation import Conversation, Instruction, Picture, ask
from kdsl.vlm.pixels import PixelBudget

COLOURS = {"红": (220, 40, 40), "蓝": (40, 70, 220)}
WISHES = ("退", "换")
LABELS = tuple(colour + wish for colour, wish in itertools.product(COLOURS, WISHES))
QUESTIONS = ("图中有红色吗？", "图中有黑条吗？")
"""Which colour the page has decides the label; whether it has a black bar does not."""
BUDGET = PixelBudget(28 * 28, 4 * 28 * 28)
"""At most four tokens a picture."""

_TEXTS = "我要退货换货。标签？图中有红色蓝黑条吗？是否描述图片。页面"
_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in "
    "content %}<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Example = tuple[Conversation, str]
"""A conversation and the right answer."""


def draw_page(path: Path, colour: str, bar: bool, seed: int = 0) -> Path:
    """A PNG of a page of 56 x 56 pixels with a background of that colour, give or take, and perhaps a black bar."""
    source = random.Random(seed)
    shade = tuple(max(0, min(255, value + source.randint(-25, 25))) for value in COLOURS[colour])
    image = Image.new("RGB", (56, 56), shade)
    if bar:
        top = source.randint(2, 8)
        ImageDraw.Draw(image).rectangle((4, top, 52, top + 16), fill=(10, 10, 10))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def classify(picture: Path, wish: str) -> Conversation:
    """What is the label? One of `LABELS`."""
    return ask(Picture(picture), f"我要{wish}货。", Instruction("标签？"))


def visual_question(picture: Path, question: str) -> Conversation:
    """One of `QUESTIONS` about the page: 是 or 否."""
    return ask(Picture(picture), Instruction(question))


def describe(picture: Path) -> Conversation:
    """A caption, such as 红色页面."""
    return ask(Picture(picture), Instruction("描述图片。"))


def world(folder: Path, n: int, seed: int = 0) -> list[Example]:
    """`n` pages drawn in `folder`, and what is asked about them: two labels, two visual questions, a caption each."""
    source = random.Random(seed)
    examples = []
    for i in range(n):
        colour, bar = source.choice(list(COLOURS)), source.random() < 0.5
        page = draw_page(folder / f"{seed}-{i}.png", colour, bar, source.randrange(1 << 30))
        examples += [(classify(page, wish), colour + wish) for wish in WISHES]
        facts = zip(QUESTIONS, (colour == "红", bar), strict=True)
        examples += [(visual_question(page, question), "是" if fact else "否") for question, fact in facts]
        examples.append((describe(page), f"{colour}色页面"))
    return examples


def build(
    folder: Path, texts: Sequence[str] = (), seed: int = 0, template: str = _TEMPLATE, added: Sequence[str] = ()
) -> Path:
    """Write a model directory with random weights; the tokens are bytes, the characters of `texts`, special tokens and
    those `added` to them, which are not special."""
    import torch
    from tokenizers import AddedToken
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = tiny_tokenizer(texts, _SPECIAL, template)
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 4, "mlp_ratio": 2},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil().save_pretrained(folder)
    return folder


def tiny_tokenizer(texts: Sequence[str], special: Sequence[str], template: str, **named: Any) -> Any:
    """A tokenizer of bytes and the characters of `texts`, with the special tokens and chat format of a Qwen model."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bytes_only = Tokenizer(models.BPE())
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    characters = sorted(set("".join((*texts, _TEXTS))))
    corpus = ["system", "user", "assistant", " helpful", "You", " are", *characters]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet, show_progress=False)
    bytes_only.train_from_iterator(corpus, trainer)
    bytes_only.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=template, **named
    )


def train(
    folder: Path, examples: Sequence[Example], steps: int = 200, batch: int = 16, rate: float = 3e-3, seed: int = 0,
    budget: PixelBudget = BUDGET, behind: str = "",
) -> float:  # fmt: skip
    """Train the model in `folder` in full on the answers, in place; the mean loss of the last 20 steps.

    Published models have also learned what stands `behind` the end token, a line break.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from transformers.loss.loss_utils import ForCausalLMLoss

    from kdsl.vlm.checkpoint import load_base
    from kdsl.vlm.processor import Processor

    processor = Processor.load(folder, budget)
    model = load_base(str(folder), "cpu", torch.float32).train()
    prompts = [processor.encode(conversation) for conversation, _ in examples]
    after = processor.answer_ids(behind, ended=False)
    answers = [torch.tensor(processor.answer_ids(answer) + after) for _, answer in examples]
    source = random.Random(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    losses = []
    for _ in range(steps):
        rows = source.sample(range(len(examples)), batch)
        # Not as training pads: what small models learned depends on it, and tests on what they learned.
        inputs = processor.batch([prompts[row] for row in rows])
        chosen = [answers[row] for row in rows]
        answer = pad_sequence(chosen, batch_first=True, padding_value=processor.pad_id)
        real = pad_sequence([torch.ones_like(ids) for ids in chosen], batch_first=True)
        labels = torch.cat([torch.full_like(inputs["input_ids"], -100), answer.masked_fill(real == 0, -100)], dim=1)
        for name, part in (("input_ids", answer), ("attention_mask", real), ("mm_token_type_ids", 0 * real)):
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], part], dim=1)
        logits = model(**inputs, logits_to_keep=labels.shape[1]).logits
        loss = ForCausalLMLoss(logits, labels, logits.shape[-1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    model.save_pretrained(folder)
    return sum(losses[-20:]) / len(losses[-20:])
