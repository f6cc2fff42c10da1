"""Frozen encoders: one vector of a file, by what the type of the model gives, computed once."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import tiny_projection
import tiny_qwen2vl
import torch
import transformers
from tiny_projection import RATE, write_tone
from transformers import AutoModel, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from kdsl.audio.decoding import load_audio
from kdsl.errors import KdslError
from kdsl.vector_cache import VectorCache
from kdsl.vlm.encoder import TYPES, Encoder

SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {**SMALL, "image_size": 32, "patch_size": 8}
TEXT = {**SMALL, "vocab_size": 99}
CONVOLUTIONS = {
    **SMALL, "conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any], int]] = {
    "audio-spectrogram-transformer": ("AST", {**SMALL, "max_length": 64, "num_mel_bins": 16}, 32),
    "wav2vec2": ("Wav2Vec2", CONVOLUTIONS, 32),
    "hubert": ("Hubert", CONVOLUTIONS, 32),
    "wavlm": ("WavLM", CONVOLUTIONS, 32),
    "clip": ("CLIP", {"vision_config": VISION, "text_config": TEXT, "projection_dim": 12}, 12),
    "chinese_clip": ("ChineseCLIP", {"vision_config": VISION, "text_config": TEXT, "projection_dim": 12}, 12),
    "siglip": ("Siglip", {"vision_config": VISION, "text_config": TEXT}, 32),
    "clip_vision_model": ("CLIPVision", VISION, 32),
    "siglip_vision_model": ("SiglipVision", VISION, 32),
    "dinov2": ("Dinov2", {**SMALL, "image_size": 32, "patch_size": 8}, 32),
}
"""Type → the class of its model, the configuration of a tiny one, and the numbers of its vector."""


def write_model(folder: Path, kind: str) -> Path:
    """The directory of a tiny encoder of that type with random weights."""
    if kind == "whisper":
        return tiny_projection.write_encoder(folder)
    name, configuration, _ = CONFIGURATIONS[kind]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**configuration)
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
    if kind == "audio-spectrogram-transformer":
        transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=16).save_pretrained(folder)
    elif TYPES[kind].kind == "audio":
        Wav2Vec2FeatureExtractor().save_pretrained(folder)
    else:
        size = {"height": 32, "width": 32}
        CLIPImageProcessorPil(size=size, crop_size=size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Two tones and two pages."""
    folder = tmp_path_factory.mktemp("files")
    for number, name in enumerate(("低", "高")):
        write_tone(folder / f"{number}.wav", name, number)
    for number, colour in enumerate(("红", "蓝")):
        tiny_qwen2vl.draw_page(folder / f"{number}.png", colour, bar=False, seed=number)
    return folder


@pytest.fixture(scope="module")
def ears(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("ears"), "whisper")


def write_samples(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, len(samples), "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_gives_vectors_that_differ(files, tmp_path, kind):
    encoder = Encoder(str(write_model(tmp_path / "model", kind)), "cpu")
    assert encoder.size == (32 if kind == "whisper" else CONFIGURATIONS[kind][2])
    end = ".wav" if encoder.kind == "audio" else ".png"
    vectors = encoder.vectors([files / f"0{end}", files / f"1{end}", files / f"0{end}"])
    assert vectors.shape == (3, encoder.size) and vectors.dtype == np.float32
    assert np.array_equal(vectors[0], vectors[2]) and not np.array_equal(vectors[0], vectors[1])


def test_whisper_gives_the_mean_over_the_sound_without_the_silence_behind_it(files, ears):
    model, extractor = AutoModel.from_pretrained(ears).eval(), WhisperFeatureExtractor.from_pretrained(ears)
    samples = load_audio(files / "0.wav")
    inputs = extractor(samples, sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        states = model.get_encoder()(**inputs).last_hidden_state[0]
    wanted = states[: round(len(samples) / RATE * 50)].mean(dim=0)  # 50 states a second
    np.testing.assert_allclose(Encoder(str(ears), "cpu").vectors([files / "0.wav"])[0], wanted, atol=2e-3)


def test_a_long_sound_is_the_mean_of_its_pieces(tmp_path, ears):
    encoder = Encoder(str(ears), "cpu")  # two seconds at once
    tone = load_audio(write_tone(tmp_path / "a.wav", "高", 1))
    first, rest = np.resize(tone, 2 * RATE), np.resize(tone[::-1] / 2, RATE)
    parts = [write_samples(tmp_path / "first.wav", first), write_samples(tmp_path / "rest.wav", rest)]
    [whole] = encoder.vectors([write_samples(tmp_path / "whole.wav", np.concatenate([first, rest]))])
    one, other = encoder.vectors(parts)
    np.testing.assert_allclose(whole, 2 / 3 * one + 1 / 3 * other, atol=2e-3)
    assert not np.allclose(whole, (one + other) / 2, atol=2e-3)


def test_a_file_is_encoded_once_whatever_its_name(files, ears, tmp_path):
    cache = VectorCache(tmp_path / "vectors.sqlite")
    first = Encoder(str(ears), "cpu", cache).vectors([files / "0.wav"])
    (tmp_path / "copy.wav").write_bytes((files / "0.wav").read_bytes())
    again = Encoder(str(ears), "cpu", cache)
    again._vector = None  # it would fail
    assert np.array_equal(again.vectors([tmp_path / "copy.wav", files / "0.wav"]), np.repeat(first, 2, axis=0))


def test_another_encoders_vectors_are_not_taken(files, ears, tmp_path):
    cache = VectorCache(tmp_path / "vectors.sqlite")
    other = tiny_projection.write_encoder(tmp_path / "other", seed=1)
    vectors = [Encoder(str(name), "cpu", cache).vectors([files / "0.wav"]) for name in (ears, other)]
    assert not np.array_equal(*vectors)


def test_a_model_of_another_type_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(KdslError, match="an encoder of type 'bert', which KDSL cannot run; take one of audio-spec"):
        Encoder(str(tmp_path))


def test_an_encoder_for_other_sounds_is_refused(files, tmp_path):
    folder = write_model(tmp_path / "model", "wav2vec2")
    Wav2Vec2FeatureExtractor(sampling_rate=8000).save_pretrained(folder)
    with pytest.raises(KdslError, match="takes sounds of 8000 samples a second; take an encoder for 16000"):
        Encoder(str(folder), "cpu").vectors([files / "0.wav"])


def test_weights_that_are_incomplete_are_refused(files, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_model(tmp_path / "model", "whisper")
    weights = load_file(folder / "model.safetensors")
    save_file({name: weights[name] for name in sorted(weights)[3:]}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(KdslError, match="the weight files lack 3 of the encoder's tensors, such as"):
        Encoder(str(folder), "cpu").vectors([files / "0.wav"])


def test_files_that_cannot_be_encoded_are_told(files, ears, tmp_path):
    encoder = Encoder(str(ears), "cpu")
    with pytest.raises(KdslError, match=r"gone.wav: no such file"):
        encoder.vectors([tmp_path / "gone.wav"])
    with pytest.raises(KdslError, match=r"0.png: is no sound that can be read"):
        encoder.vectors([files / "0.png"])
    with pytest.raises(KdslError, match=r"0.wav: not an image that a model can take"):
        Encoder(str(write_model(tmp_path / "eyes", "clip_vision_model")), "cpu").vectors([files / "0.wav"])
