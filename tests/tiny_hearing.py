"""Tiny Qwen2-Audio and Qwen2.5-Omni models, laid out as the real directories are, and tones for them to hear.

Random weights; `train` of tests/tiny_qwen2vl.py trains either in full. Their encoders take two seconds of a sound at
most, and 25 tokens stand for one second, as in the real ones.
"""

import json
import math
import random
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

from tiny_qwen2vl import tiny_tokenizer

from kdsl.vlm.conversation import Audio, Conversation, Instruction, ask

HERTZ = {"低": 300, "高": 1800}
"""How many, give or take, a low and a high tone have."""
LABELS = tuple(HERTZ)
SECONDS = 2
"""What the encoders take of a sound."""

_TEXTS = "标签？低高音"
_COMMON = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
_OMNI = (*_COMMON, "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>", "<|vision_eos|>", "<|vision_pad|>")
_OMNI_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content %}"
    "<|vision_bos|><|IMAGE|><|vision_eos|>{% elif content['type'] == 'audio' or 'audio' in content %}"
    "<|audio_bos|><|AUDIO|><|audio_eos|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_MELS = 16
_ENCODER = {"num_mel_bins": _MELS, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64}
_ENCODER |= {"d_model": 32, "max_source_positions": SECONDS * 50}
_LANGUAGE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
_LANGUAGE |= {"num_key_value_heads": 2, "max_position_embeddings": 4096}


def write_tone(path: Path, hertz: float, seconds: float = 0.5, rate: int = 16000, seed: int = 0) -> Path:
    """A WAV file of one tone, louder or softer."""
    source = random.Random(seed)
    loudness, phase = source.uniform(4000, 20000), source.uniform(0, math.tau)
    turn = math.tau * hertz / rate
    samples = array("h", (round(loudness * math.sin(phase + turn * i)) for i in range(round(seconds * rate))))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())
    return path


def world(folder: Path, n: int, seed: int = 0) -> list[tuple[Conversation, str]]:
    """`n` tones written to `folder`, each with the question what it is, and the answer."""
    source = random.Random(seed)
    examples = []
    for i in range(n):
        label = LABELS[i % 2]
        hertz = HERTZ[label] * source.uniform(0.8, 1.25)
        tone = write_tone(folder / f"{seed}-{i}.wav", hertz, source.uniform(0.3, 0.8), seed=source.randrange(1 << 30))
        examples.append((ask(Audio(tone), Instruction("标签？")), label))
    return examples


def build_qwen2_audio(folder: Path, texts: Sequence[str] = (), seed: int = 0) -> Path:
    """Write the directory of a Qwen2-Audio with random weights."""
    import torch
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

    tokenizer = tiny_tokenizer((*texts, _TEXTS), _COMMON, Qwen2AudioProcessor.default_chat_template.fget(None))
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _COMMON}
    ends = {"eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]}
    text = {"model_type": "qwen2", "vocab_size": len(tokenizer), **_LANGUAGE, **ends}
    audio = {"model_type": "qwen2_audio_encoder", **_ENCODER}
    torch.manual_seed(seed)
    model = Qwen2AudioForConditionalGeneration(
        Qwen2AudioConfig(text_config=text, audio_config=audio, audio_token_index=ids["<|AUDIO|>"])
    )
    return _write(folder, model, tokenizer, "Qwen2AudioProcessor")


def build_omni(folder: Path, texts: Sequence[str] = (), seed: int = 0) -> Path:
    """Write the directory of the thinker of a Qwen2.5-Omni with random weights."""
    import torch
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    names = {"image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>"}
    names |= {"vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>"}
    names |= {"audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}
    tokenizer = tiny_tokenizer((*texts, _TEXTS), _OMNI, _OMNI_TEMPLATE, extra_special_tokens=names)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _OMNI}
    ends = {"eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 64}
    torch.manual_seed(seed)
    model = Qwen2_5OmniThinkerForConditionalGeneration(
        Qwen2_5OmniThinkerConfig(
            text_config={"vocab_size": len(tokenizer), **_LANGUAGE, **ends, "rope_parameters": rope},
            vision_config=vision | {"fullatt_block_indexes": [1]},
            audio_config={**_ENCODER, "output_dim": 64, "n_window": 20},
            audio_token_index=ids["<|AUDIO|>"],
            image_token_index=ids["<|IMAGE|>"],
            video_token_index=ids["<|VIDEO|>"],
            audio_start_token_id=ids["<|audio_bos|>"],
            audio_end_token_id=ids["<|audio_eos|>"],
            vision_start_token_id=ids["<|vision_bos|>"],
            vision_end_token_id=ids["<|vision_eos|>"],
        )
    )
    return _write(folder, model, tokenizer, "Qwen2_5OmniProcessor")


def _write(folder, model, tokenizer, processor: str) -> Path:
    from transformers import WhisperFeatureExtractor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    ids = [tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = ids, ids[1]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=_MELS, chunk_length=SECONDS, return_attention_mask=True)
    preprocessing = extractor.to_dict() | {"processor_class": processor}
    if processor == "Qwen2_5OmniProcessor":
        preprocessing = Qwen2VLImageProcessorPil().to_dict() | preprocessing
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing, default=str))
    return folder
