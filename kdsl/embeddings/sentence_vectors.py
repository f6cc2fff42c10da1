"""Sentence vectors by text: each text is encoded once, and kept in memory and on disk."""

import hashlib
import logging
from collections.abc import Sequence, Set
from itertools import islice
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from kdsl.embeddings.encoder import Encoder, Vectors32, of_unit_length
from kdsl.errors import Hint, KdslError
from kdsl.progress import Progress, track
from kdsl.text import writable
from kdsl.vector_cache import VectorCache

_log = logging.getLogger(__name__)

_CHUNK = 512
"""Texts that are encoded, and then kept, at once; an interruption loses no more than these."""
_LONG = 2048
"""From so many new texts on it is worth saying how far the work is."""
_HELD = 32_768
"""Vectors in memory, at most, 64 MiB of 512 numbers each; a file of any length may be predicted."""


class SentenceVectors:
    """The vectors that one encoder gives, kept by text. For several threads at once, one after the other."""

    def __init__(self, encoder: Encoder, cache: VectorCache | None = None, progress: Progress | None = None) -> None:
        """Without a `cache` vectors are kept in memory only."""
        self.encoder = encoder
        self.missing = 0
        """Texts since the last `tell` that have no vector: the encoder is not installed, nothing was kept of them."""
        self._counted: set[bytes] = set()
        """Those of them that came last: classifier and rules ask about the same text."""
        self._cache = VectorCache(None) if cache is None else cache
        self._progress = progress
        self._known: dict[bytes, Vectors32] = {}
        """The one that was asked for last stands last."""
        self._told_lacking = False
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The encoder's name, as rules say it."""
        return self.encoder.name

    @property
    def identity(self) -> str:
        """See `Encoder.identity`; known without its package too."""
        return self.encoder.identity

    @property
    def size(self) -> int:
        return self.encoder.size

    @property
    def available(self) -> bool:
        """Whether texts can be encoded; if not, only those have vectors of which the cache knows them."""
        return not self.encoder.lacks

    def if_available(self) -> "SentenceVectors | None":
        """For what learns: itself, or None with a warning, the first time, where texts cannot be encoded.

        What learned from the vectors that were kept could make nothing of new texts.
        """
        if self.available:
            return self
        if not self._told_lacking:
            self._told_lacking = True
            _log.warning("encoder: %s needs %s; without it all goes on as with none", self.name, self.encoder.lacks)
        return None

    def tell(self) -> None:
        """Log one warning of the texts since the last one that have no vector, if there are any."""
        missing, self.missing = self.missing, 0
        self._counted.clear()
        if missing:
            _log.warning(
                "%d texts have no sentence vector and count as without meaning: encoder `%s` needs %s",
                missing, self.name, self.encoder.lacks,
            )  # fmt: skip

    def of(self, texts: Sequence[str]) -> Vectors32:
        """[n_texts, size], of unit length; zeros for a text without a visible character, and where one is missing.

        A vector is the same, bit for bit, whether it was kept or is new: both come from half precision.
        """
        keys = [_key(text) if text.strip() else None for text in texts]
        with self._lock:
            found = self._found({key: text for key, text in zip(keys, texts, strict=True) if key is not None})
        nothing = np.zeros(self.size, dtype=np.float32)
        return np.array(
            [nothing if key is None else found.get(key, nothing) for key in keys], dtype=np.float32
        ).reshape(len(texts), self.size)

    def _found(self, texts: dict[bytes, str]) -> dict[bytes, Vectors32]:
        """key → vector of unit length, of memory, of the cache, or new."""
        found: dict[bytes, Vectors32] = {}
        for key in texts:
            vector = self._known.pop(key, None)
            if vector is not None:
                found[key] = self._known[key] = vector  # the last one by now
        if len(found) == len(texts):
            return found
        kept = self._cache.get(self.identity, [key for key in texts if key not in found], self.size)
        new = [key for key in texts if key not in found and key not in kept]
        made: dict[bytes, NDArray[np.float16]] = {}
        if self.available and new:
            chunks = [new[start : start + _CHUNK] for start in range(0, len(new), _CHUNK)]
            progress = self._progress if len(new) >= _LONG else None
            for chunk in track(chunks, "Encoding sentences", len(chunks), progress):
                rows = self.encoder.encode([writable(texts[key]) for key in chunk]).astype(np.float16)
                vectors = dict(zip(chunk, rows, strict=True))
                self._cache.put(self.identity, vectors)
                made |= vectors
        halves = kept | made
        self._count(texts.keys() - found.keys() - halves.keys())
        if halves:
            units = of_unit_length(np.stack([*halves.values()]).astype(np.float32))
            vectors_by_key = {key: unit.copy() for key, unit in zip(halves, units, strict=True)}  # each leaves alone
            self._hold(vectors_by_key)
            found.update(vectors_by_key)
        return found

    def _hold(self, vectors: dict[bytes, Vectors32]) -> None:
        """Keep them in memory, in place of those that nobody has asked for longest where there are too many."""
        self._known |= vectors
        for key in list(islice(self._known, max(0, len(self._known) - _HELD))):
            del self._known[key]

    def _count(self, missing: Set[bytes]) -> None:
        self.missing += len(missing - self._counted)
        if len(self._counted) > _HELD:
            self._counted.clear()
        self._counted |= missing

    def __reduce__(self) -> tuple[type["SentenceVectors"], tuple[Encoder, VectorCache]]:
        """Worker processes read what they need from the cache."""
        return SentenceVectors, (self.encoder, self._cache)


def require_same_encoder(trained: str, vectors: SentenceVectors | None) -> None:
    """Raises KdslError where vectors come from another encoder than that of the identity `trained`, or from none.

    An empty identity is none.
    """
    now = "" if vectors is None else vectors.identity
    if now != trained:
        raise KdslError(f"encoder: was {trained or 'none'} in training and is {now or 'none'} now", Hint.SET_BACK)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
