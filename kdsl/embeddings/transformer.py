"""A sentence encoder in this process, by transformers: bge, e5, Qwen3-Embedding, or the hidden states of Qwen2-VL."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdsl.distribution import install_command
from kdsl.embeddings.encoder import Vectors32, of_unit_length
from kdsl.embeddings.layout import Layout, Pooling, read_layout
from kdsl.errors import KdslError
from kdsl.files import check_name, inside
from kdsl.json_file import read_json
from kdsl.pretrained import (
    fingerprint,
    is_out_of_memory,
    loading_in_one_sentence,
    location_of,
    model_name,
    number_format,
    quiet,
    without_extra,
)

if TYPE_CHECKING:
    from torch import Tensor

_TOKENS = 8192
"""In a batch, with padding; and of a text, at most."""
_SPECIAL = 2
"""Positions that some models number but give to no token."""


class TransformerEncoder:
    """Implements `Encoder`, for a directory or a hub id: see `kdsl.embeddings.layout` for what it may be made of.

    All of its objects for one model share the weights, which only one reads.
    """

    def __init__(self, name: str) -> None:
        self._model = name

    @property
    def name(self) -> str:
        """The hub id, or the last part of the directory."""
        return model_name(self._model)

    @cached_property
    def identity(self) -> str:
        """With the hash of weights and layout for a directory; what a hub id names is taken to stay what it is."""
        location = location_of(self._model)
        if location == self._model and not Path(location).is_dir():
            return self._model
        layout = hashlib.sha256(repr(self._layout).encode()).hexdigest()[:8]
        return f"{self.name}:{fingerprint(self._model)}:{layout}"

    @property
    def lacks(self) -> str:
        """See `Encoder.lacks`."""
        missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
        return f"{' and '.join(missing)} ({install_command('vlm')})" if missing else ""

    @cached_property
    def size(self) -> int:
        path = _file_of(self._model, "config.json")
        config = read_json(path) if path is not None else None
        parts = [config, config.get("text_config")] if isinstance(config, dict) else []
        sizes = [part.get(key) for part in parts if isinstance(part, dict) for key in ("hidden_size", "d_model")]
        found = next((size for size in sizes if isinstance(size, int) and size > 0), None)
        if found is None:
            raise KdslError(f"{self._model}: its config.json has no hidden_size; name the directory of an encoder")
        return found

    def parameters(self) -> int:
        """How many it has, by its configuration. Raises KdslError for a model that cannot be there."""
        if self.lacks:
            raise KdslError(f"encoder: {self.name} needs {self.lacks}")
        import torch
        from transformers import AutoConfig, AutoModel

        location = location_of(self._model)
        with loading_in_one_sentence(self._model), quiet(), torch.device("meta"):
            model = AutoModel.from_config(AutoConfig.from_pretrained(location, trust_remote_code=False))
            return sum(weights.numel() for weights in model.parameters())

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """See `Encoder.encode`. Raises KdslError for a model that cannot be loaded, and when memory runs out."""
        if self.lacks:
            raise KdslError(f"encoder: {self.name} needs {self.lacks}")
        loaded = _loaded(self._model)
        layout = self._layout
        ids = loaded.ids([layout.prompt + text for text in texts], layout.max_tokens)
        vectors = np.zeros((len(texts), self.size), dtype=np.float32)
        for rows in _batches([len(row) for row in ids]):
            vectors[rows] = self._pooled(loaded, [ids[row] for row in rows], layout.pooling)
        return of_unit_length(vectors)

    def _pooled(self, loaded: "_Loaded", ids: list[list[int]], pooling: Pooling) -> Vectors32:
        try:
            return loaded.pooled(ids, pooling)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(ids) == 1:
                raise KdslError(
                    f"{self._model}: out of memory with one text of {len(ids[0])} tokens; take a smaller encoder"
                ) from error
        half = len(ids) // 2
        return np.concatenate([self._pooled(loaded, part, pooling) for part in (ids[:half], ids[half:])])

    @cached_property
    def _layout(self) -> Layout:
        return read_layout(self._model, lambda file: _file_of(self._model, file))


@dataclass(frozen=True)
class _Loaded:
    """What transformers loads, which has no types of its own."""

    tokenizer: Any
    model: Any
    longest: int
    """Tokens that it reads of a text."""

    def ids(self, texts: Sequence[str], max_tokens: int | None) -> list[list[int]]:
        most = min(self.longest, max_tokens or self.longest)
        return self.tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]

    def pooled(self, ids: list[list[int]], pooling: Pooling) -> Vectors32:
        """[n_texts, size], of whatever length. Out of memory passes through."""
        import torch

        # Padded on the right, so that the first token is the first one; no attention is paid to padding.
        width = max(map(len, ids))
        tokens = torch.tensor([row + [self.tokenizer.pad_token_id] * (width - len(row)) for row in ids])
        real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
        tokens, real = tokens.to(self.model.device), real.to(self.model.device)
        with torch.inference_mode():
            hidden = self.model(input_ids=tokens, attention_mask=real).last_hidden_state
        return _one_a_text(hidden.float(), real, pooling).cpu().numpy()


def _one_a_text(hidden: "Tensor", real: "Tensor", pooling: Pooling) -> "Tensor":
    """[n_texts, size] of `hidden` [n_texts, n_tokens, size], where `real` is 1 for a token and 0 for padding."""
    if pooling == "cls":
        return hidden[:, 0]
    lengths = real.sum(dim=1)
    if pooling == "last":
        return hidden.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, hidden.shape[2]))[:, 0]
    return (hidden * real[..., None]).sum(dim=1) / lengths[:, None]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of texts of similar length, the longest first: what does not fit the memory shows at once."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > _TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@lru_cache(maxsize=2)
def _loaded(name: str) -> _Loaded:
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    location = location_of(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with loading_in_one_sentence(name), quiet():
        config = AutoConfig.from_pretrained(location, trust_remote_code=False)
        if config.is_encoder_decoder:
            raise KdslError(f"{name}: has a decoder beside its encoder; take an encoder such as BAAI/bge-m3")
        tokenizer = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
        model, info = AutoModel.from_pretrained(
            location, dtype=number_format(device), output_loading_info=True, trust_remote_code=False
        )
    missing = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise KdslError(
            f"{name}: the weight files lack {len(missing)} of the model's tensors, such as {missing[0]}; the "
            "directory is incomplete, or its config.json is of another model"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or _TOKENS
    return _Loaded(tokenizer, model.to(device).eval(), min(tokenizer.model_max_length, positions - _SPECIAL, _TOKENS))


def _file_of(name: str, file: str) -> Path | None:
    """A file of a model, in its directory or from the hub; None where it has none of that name."""
    folder = Path(location_of(name))
    if folder.is_dir():
        path = inside(folder, file)
        return path if path.is_file() else None
    check_name(file, name)
    try:
        from transformers.utils import cached_file
    except ImportError as error:
        raise without_extra(name, error) from error
    with loading_in_one_sentence(name):
        found = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)
