"""The tiny Qwen2-VL that all peers start from: a model directory laid out as the published ones, and really trained.

Its world is that of tests/tiny_qwen2vl.py, with pages of many sizes, so that the way a peer sizes pictures shows.
"""

import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tiny_qwen2vl
from PIL import Image
from tiny_qwen2vl import Example

from kdsl.files import write_atomically
from kdsl.vlm.pixels import PixelBudget

if TYPE_CHECKING:
    from transformers import Qwen2VLForConditionalGeneration

    from kdsl.vlm.processor import Processor

BUDGET = PixelBudget(4 * 28 * 28, 16 * 28 * 28)
"""4 to 16 tokens a picture."""
TEXTS = "我要退货换货。标签？图中有红色蓝黑条吗？是否描述图片。页面用户"
"""Whose letters have tokens of their own."""
SIZES = ((56, 56), (112, 112), (90, 200), (300, 620), (414, 896), (640, 360), (140, 100), (70, 300))
"""Pages of the project, in pixels: below, inside and above the budget."""
TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in "
    "content %}{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""As Qwen2-VL-2B-Instruct and its larger siblings have it."""
_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_VOCABULARY = 151936
_FIRST_SPECIAL = 151643
"""As published: ms-swift has the ids in its code."""
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def draw_page(path: Path, colour: str, bar: bool, size: tuple[int, int], seed: int) -> Path:
    """A page of the tests' world, stretched to this size."""
    tiny_qwen2vl.draw_page(path, colour, bar, seed)
    with Image.open(path) as page:
        page.resize(size, Image.Resampling.NEAREST).save(path)
    return path


def examples(folder: Path, n: int, seed: int = 0) -> list[Example]:
    """`n` pages drawn in `folder`, and what is asked about them: two labels and a caption each."""
    source = random.Random(seed)
    found = []
    for index in range(n):
        colour, bar = source.choice(list(tiny_qwen2vl.COLOURS)), source.random() < 0.5
        size = SIZES[index % len(SIZES)]
        page = draw_page(folder / f"{seed}-{index}.png", colour, bar, size, source.randrange(1 << 30))
        found += [(tiny_qwen2vl.classify(page, wish), colour + wish) for wish in tiny_qwen2vl.WISHES]
        found.append((tiny_qwen2vl.describe(page), f"{colour}色页面"))
    return found


def make(folder: Path, pages: Path, texts: Sequence[str] = (), steps: int = 250) -> Path:
    """Write a trained model directory, with pages to learn from in `pages`; the tokens are bytes and `texts`' letters.

    It is trained with the few tokens that it needs, then gets the published number and ids of tokens.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        small = Path(name)
        ids = _write_tokenizer(small, texts, None)
        _untrained(ids).save_pretrained(small)
        _write(small / "preprocessor_config.json", _PREPROCESSING)
        tiny_qwen2vl.train(small, examples(pages, 200), steps, budget=BUDGET, behind="\n")
        _enlarge(small, ids, folder, texts)
    return folder


def processor_of(folder: Path) -> "Processor":
    """KDSL's, with the budget of the project."""
    from kdsl.vlm.processor import Processor

    return Processor.load(folder, BUDGET)


def _untrained(ids: dict[str, int], vocabulary: int | None = None, seed: int = 0) -> "Qwen2VLForConditionalGeneration":
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    config = Qwen2VLConfig(
        text_config={
            "vocab_size": vocabulary or len(ids),
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 10000.0},
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={"depth": 2, "embed_dim": 64, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 2},
        tie_word_embeddings=True,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.generation_config.do_sample = False
    return model


def _enlarge(small: Path, few: dict[str, int], folder: Path, texts: Sequence[str]) -> None:
    """Write the model in `small` with all tokens; those that nothing needs are as improbable as one never learned."""
    import torch
    from transformers import Qwen2VLForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(folder, texts, _FIRST_SPECIAL)
    weights = Qwen2VLForConditionalGeneration.from_pretrained(small).state_dict()
    rows = weights["model.language_model.embed_tokens.weight"]
    model = _untrained(ids, _VOCABULARY)
    every = 4 * rows[few["<|box_start|>"]].repeat(_VOCABULARY, 1)
    for token, number in few.items():
        every[ids[token]] = rows[number]
    for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = every
    model.load_state_dict(weights)
    model.to(torch.float32).save_pretrained(folder)
    _write(folder / "preprocessor_config.json", _PREPROCESSING)


_PREPROCESSING: dict[str, Any] = {
    "min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor",
}  # fmt: skip
"""As Qwen2-VL-2B-Instruct has it, wide budget included: what a peer makes of that shows."""


def _write_tokenizer(folder: Path, texts: Sequence[str], first_special: int | None) -> dict[str, int]:
    """tokenizer.json, vocab.json, merges.txt and tokenizer_config.json; token → id, without the fillers that stand
    between the letters and the special tokens where those begin at an id of their own."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    byte_level = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    byte_level.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    corpus = [*sorted(set("".join(texts))), "system", "user", "assistant", " helpful", "You", " are", " a"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, show_progress=False)
    )
    learned = json.loads(byte_level.to_str())["model"]
    ids: dict[str, int] = learned["vocab"]
    first = len(ids) if first_special is None else first_special
    fillers = {f"filler{number:06}": number for number in range(len(ids), first)}
    ids |= {token: first + number for number, token in enumerate(_SPECIAL)}
    tokenizer = Tokenizer(models.BPE(ids | fillers, [tuple(pair) for pair in learned["merges"]]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer, tokenizer.decoder = byte_level.pre_tokenizer, decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "vocab.json", {token: number for token, number in (ids | fillers).items() if number < first})
    merges = "".join(" ".join(pair) + "\n" for pair in learned["merges"])
    write_atomically(folder / "merges.txt", "#version: 0.2\n" + merges)
    added = {
        str(ids[token]): {"content": token, "lstrip": False, "normalized": False, "rstrip": False,
                          "single_word": False, "special": True}
        for token in _SPECIAL
    }  # fmt: skip
    _write(
        folder / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": added,
            "additional_special_tokens": list(_SPECIAL[1:]),
            "bos_token": None,
            "chat_template": TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_end|>",
            "errors": "replace",
            "model_max_length": 32768,
            "pad_token": "<|endoftext|>",
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )
    _write(folder / "chat_template.json", {"chat_template": TEMPLATE})
    return ids


def _write(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
