"""Sounds as WAV: what was decoded from 16 bits comes back as it was, and nothing turns over."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra voice")

from kdsl.audio.decoding import load_audio
from kdsl.audio.wav import wav_bytes


def test_what_was_decoded_is_written_as_it_was(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(-0x8000, 0x8000, 4000).astype(np.float32)
    samples = np.concatenate([numbers, [0x7FFF, -0x8000]]).astype(np.float32) / 0x8000
    (tmp_path / "a.wav").write_bytes(wav_bytes(samples))
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav"), samples)


def test_the_loudest_stay_loud(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.array([1.0, -1.0] * 800, np.float32)))
    found = load_audio(tmp_path / "a.wav")
    assert found[::2].min() > 0.999 and found[1::2].max() < -0.999
