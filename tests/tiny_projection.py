"""What tests of projections need: tones as WAV files, a tiny Whisper with random weights, and a language model that
knows how tones are called, but has never heard one.

Whoever plays a low, a middle or a high tone asks 什么声音？, and the answer is 低, 中 or 高.
"""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tiny_qwen2vl

from kdsl.vlm.conversation import Audio, Conversation, Instruction, ask

RATE = 16_000
TONES = {"低": 300.0, "中": 800.0, "高": 2000.0}
"""Name → hertz, give or take."""
QUESTION = "什么声音？"


def write_tone(path: Path, name: str, seed: int) -> Path:
    """A WAV file of about that tone, of any length, loudness and phase, with noise."""
    source = np.random.default_rng(seed)
    times = np.arange(int(RATE * source.uniform(0.3, 1.0))) / RATE
    hertz = TONES[name] * source.uniform(0.94, 1.06)
    tone = source.uniform(0.05, 0.8) * np.sin(2 * np.pi * (hertz * times + source.random()))
    tone += source.normal(0, source.uniform(0.001, 0.02), len(times))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, len(tone), "NONE", ""))
        file.writeframes((np.clip(tone, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def write_tones(folder: Path, number: int, seed: int = 0) -> list[tuple[Path, str]]:
    """So many WAV files below `folder`, each with its tone's name, in turn."""
    names = [*TONES] * (number // len(TONES) + 1)
    return [(write_tone(folder / f"{row}.wav", name, seed + row), name) for row, name in enumerate(names[:number])]


def asked(path: Path) -> Conversation:
    """What the tone in this file is called."""
    return ask(Audio(path), Instruction(QUESTION))


def write_encoder(folder: Path, seed: int = 0) -> Path:
    """The directory of a Whisper with random weights that hears two seconds at once."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=10, d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=100, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=2).save_pretrained(folder)
    return folder


def write_eyes(folder: Path) -> Path:
    """The directory of a CLIP vision tower with random weights."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    CLIPVisionModel(config).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessorPil(size=size, crop_size=size).save_pretrained(folder)
    return folder


def write_language_model(folder: Path, others: Sequence[tiny_qwen2vl.Example] = ()) -> Path:
    """The directory of a Qwen2-VL that says 低 when it reads 低 before the question."""
    tiny_qwen2vl.build(folder, [*TONES, QUESTION])
    told = [(ask(name, Instruction(QUESTION)), name) for name in TONES]
    tiny_qwen2vl.train(folder, [*told, *others], steps=120, batch=3)
    return folder
