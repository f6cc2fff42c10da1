"""Frozen encoders of transformers: one vector of a sound, or of a picture."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoConfig, AutoFeatureExtractor, AutoImageProcessor, AutoModel

from kdsl.audio.decoding import RATE, load_audio
from kdsl.errors import KdslError
from kdsl.files import file_digest
from kdsl.pretrained import fingerprint, loading_in_one_sentence, location_of, number_format, quiet
from kdsl.progress import Progress, track
from kdsl.vector_cache import VectorCache
from kdsl.vlm.pixels import PixelBudget, load_picture

log = logging.getLogger(__name__)

Kind = Literal["audio", "image"]
Features = NDArray[np.float32]

_BUDGET = PixelBudget(max_pixels=1024 * 28 * 28)
"""More than encoders look at, which take squares of 224 to 512 pixels."""
_CHUNK = 32
"""Files whose vectors are computed, and then kept, at once; an interruption loses no more than these."""
_LEAST = RATE // 10
"""Samples that the end of a sound is filled up to with silence: some encoders fail on a few milliseconds."""


@dataclass(frozen=True)
class _Type:
    """What models of one type encode, and how."""

    kind: Kind
    size: Callable[[Any], int]
    """Numbers of a vector, by the model's configuration."""
    vector: Callable[[Any, dict[str, Tensor], float], Tensor]
    """[size]: of a model, the inputs of one picture or piece of a sound, and how much of the piece is sound."""
    seconds: Callable[[Any], float] = lambda extractor: 30.0
    """Of a piece of a sound, at most, by the preprocessing."""


def _whisper(model: Any, inputs: dict[str, Tensor], share: float) -> Tensor:
    states = model.get_encoder()(**inputs).last_hidden_state[0]  # of the silence behind a sound, too
    return states[: max(1, round(share * len(states)))].mean(dim=0)


def _mean(model: Any, inputs: dict[str, Tensor], share: float) -> Tensor:
    return model(**inputs).last_hidden_state[0].mean(dim=0)


def _pooled(model: Any, inputs: dict[str, Tensor], share: float) -> Tensor:
    return model(**inputs).pooler_output[0]


def _image_features(model: Any, inputs: dict[str, Tensor], share: float) -> Tensor:
    return model.get_image_features(**inputs).pooler_output[0]


def _hidden_size(config: Any) -> int:
    return config.hidden_size


_SPEECH = _Type("audio", _hidden_size, _mean)
_VISION = _Type("image", _hidden_size, _pooled)
TYPES: dict[str, _Type] = {
    "whisper": _Type("audio", lambda config: config.d_model, _whisper, lambda extractor: extractor.chunk_length),
    "audio-spectrogram-transformer": _Type(
        "audio", _hidden_size, _pooled, lambda extractor: extractor.max_length / 100  # frames of 10 ms
    ),
    "wav2vec2": _SPEECH,
    "hubert": _SPEECH,
    "wavlm": _SPEECH,
    "clip": _Type("image", lambda config: config.projection_dim, _image_features),
    "chinese_clip": _Type("image", lambda config: config.projection_dim, _image_features),
    "siglip": _Type("image", lambda config: config.vision_config.hidden_size, _image_features),
    "clip_vision_model": _VISION,
    "siglip_vision_model": _VISION,
    "dinov2": _VISION,
}  # fmt: skip
"""`model_type` of a model's config.json → how it encodes."""


class Encoder:
    """Turns sounds or pictures into vectors, each file by itself. Weights are loaded when a vector is not known.

    Vectors are kept by the content of the file, in half precision, which new ones go through too.
    """

    def __init__(self, name: str, device: str | None = None, cache: VectorCache | None = None) -> None:
        """The encoder in a directory or of a hub id. Raises KdslError where there is none of a type in `TYPES`."""
        self.name = name
        self._location = location_of(name)
        with loading_in_one_sentence(name):
            config = AutoConfig.from_pretrained(self._location, trust_remote_code=False)
        if config.model_type not in TYPES:
            raise KdslError(
                f"{name}: an encoder of type {config.model_type!r}, which KDSL cannot run; take one of "
                f"{', '.join(sorted(TYPES))}"
            )
        self._type = TYPES[config.model_type]
        self.kind: Kind = self._type.kind
        """What it encodes."""
        self.size: int = self._type.size(config)
        """Numbers of a vector."""
        self.weights = fingerprint(name)
        """A hash of its weights, or its hub id."""
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._cache = VectorCache(None) if cache is None else cache

    def vectors(self, paths: Sequence[Path], progress: Progress | None = None) -> Features:
        """[n, size] of files. Raises KdslError in one sentence for a file that is none of its kind."""
        digests = [file_digest(path) for path in paths]
        files = dict(zip(digests, paths, strict=True))
        maker = f"{self.weights} for projection"
        found = self._cache.get(maker, [*files], self.size)
        new = [digest for digest in files if digest not in found]
        chunks = [new[start : start + _CHUNK] for start in range(0, len(new), _CHUNK)]
        what = "Encoding sounds" if self.kind == "audio" else "Encoding pictures"
        for chunk in track(chunks, what, len(chunks), progress if len(chunks) > 1 else None):
            made = {digest: self._vector(files[digest]) for digest in chunk}
            self._cache.put(maker, made)
            found |= made
        return np.array([found[digest] for digest in digests], np.float32).reshape(-1, self.size)

    @torch.inference_mode()
    def _vector(self, path: Path) -> NDArray[np.float16]:
        if self.kind == "image":
            vector = self._of(self._preprocessing(images=load_picture(path, _BUDGET), return_tensors="pt"), 1.0)
        else:
            vector = self._of_sound(load_audio(path))
        half = vector.float().cpu().numpy().astype(np.float16)
        if not np.isfinite(half).all():
            raise KdslError(f"{path}: {self.name} gives no finite numbers of it; take another encoder")
        return half

    def _of_sound(self, samples: NDArray[np.float32]) -> Tensor:
        """The mean over its pieces, by how long they are."""
        longest = round(self._type.seconds(self._preprocessing) * RATE)
        total = torch.zeros(self.size)
        for start in range(0, len(samples), longest):
            piece = samples[start : start + longest]
            filled = np.pad(piece, (0, max(0, _LEAST - len(piece))))
            inputs = self._preprocessing(filled, sampling_rate=RATE, return_tensors="pt")
            total += len(piece) / len(samples) * self._of(inputs, len(piece) / longest).float().cpu()
        return total

    def _of(self, inputs: Any, share: float) -> Tensor:
        on_device = {name: tensor.to(self._device, self._model.dtype) for name, tensor in inputs.items()}
        return self._type.vector(self._model, on_device, share)

    @cached_property
    def _preprocessing(self) -> Any:
        auto = AutoImageProcessor if self.kind == "image" else AutoFeatureExtractor
        with loading_in_one_sentence(self.name), quiet():
            preprocessing = auto.from_pretrained(self._location, trust_remote_code=False)
        if self.kind == "audio" and preprocessing.sampling_rate != RATE:
            raise KdslError(
                f"{self.name}: takes sounds of {preprocessing.sampling_rate} samples a second; take an encoder "
                f"for {RATE}"
            )
        return preprocessing

    @cached_property
    def _model(self) -> Any:
        with loading_in_one_sentence(self.name), quiet():
            model, info = AutoModel.from_pretrained(
                self._location,
                dtype=number_format(self._device),
                output_loading_info=True,
                trust_remote_code=False,
            )
        if info["missing_keys"]:
            raise KdslError(
                f"{self.name}: the weight files lack {len(info['missing_keys'])} of the encoder's tensors, such as "
                f"{min(info['missing_keys'])}; the directory is incomplete, or its config.json is of another model"
            )
        return model.to(self._device).eval().requires_grad_(False)
