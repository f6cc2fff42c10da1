"""A sentence encoder behind an OpenAI-compatible server: `/v1/embeddings` of vLLM, llama.cpp, TEI, Ollama."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from kdsl.embeddings.encoder import Vectors32, of_unit_length
from kdsl.hosts import Consent
from kdsl.http_client import HttpClient, ServerError, chosen_model, served_models

_PATH = "/embeddings"
_BATCH = 64
"""Texts in a request."""
_CONCURRENCY = 8
_TIMEOUT, _RETRIES = 120.0, 6
_LONGEST = 8000
"""Characters of a text that are sent; fewer where that is more than the server takes."""


class ServedEncoder:
    """Implements `Encoder`. The server is contacted when it is first asked for a vector, or for their size."""

    lacks = ""

    def __init__(self, address: str, consent: Consent | None = None) -> None:
        """`address`: http://host:port/v1, or http://host:port/v1#model where it serves several.

        Without `consent` only this machine is contacted.
        """
        self._address, _, self._wanted = address.partition("#")
        self._consent = consent

    @property
    def name(self) -> str:
        """The model's name where the address has one, else the address."""
        return self._wanted or self._address

    @property
    def identity(self) -> str:
        """The address: of what a server has behind it nobody knows the hash."""
        return f"{self._address}#{self._wanted}" if self._wanted else self._address

    @cached_property
    def size(self) -> int:
        """Of the vector of a word, for which the server is asked."""
        return self._ask(["?"]).shape[1]

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """See `Encoder.encode`. Raises KdslError where the server cannot be reached or gives no such vectors."""
        size = self.size  # before threads ask: the first request finds out which model there is
        parts = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            found = list(pool.map(self._fitted, parts))
        sizes = {part.shape[1] for part in found}
        if sizes - {size}:
            raise self._client.garbage(_PATH, f"vectors of {max(sizes)} numbers after some of {size}")
        return np.concatenate([np.zeros((0, size), dtype=np.float32), *found])

    def __reduce__(self) -> tuple[type["ServedEncoder"], tuple[str, Consent | None]]:
        """Connections stay in their process."""
        return ServedEncoder, (self.identity, self._consent)

    def _fitted(self, texts: Sequence[str]) -> Vectors32:
        """The vectors of texts, of as much of each as the server takes."""
        try:
            return self._ask([text[:_LONGEST] for text in texts])
        except ServerError as error:
            if not error.too_long or max(map(len, texts)) < 2:
                raise
        if len(texts) > 1:
            return np.concatenate([self._fitted([text]) for text in texts])
        return self._fitted([texts[0][: min(len(texts[0]), _LONGEST) // 2]])

    def _ask(self, texts: Sequence[str]) -> Vectors32:
        request = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        vectors = _vectors(self._client.post(_PATH, request), len(texts))
        if vectors is None:
            raise self._client.garbage(_PATH, f"an answer without {len(texts)} vectors")
        return of_unit_length(vectors)

    @cached_property
    def _client(self) -> HttpClient:
        return HttpClient(self._address, _TIMEOUT, _RETRIES, _CONCURRENCY, self._consent)

    @cached_property
    def _model(self) -> str:
        return chosen_model(self._client.url, served_models(self._client, self._wanted), self._wanted)


def _vectors(reply: dict[str, Any], count: int) -> Vectors32 | None:
    """[count, size], in the order of the texts; None for what is nothing of the kind."""
    data = reply.get("data")
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data) or len(data) != count:
        return None
    placed = {each.get("index", place): each.get("embedding") for place, each in enumerate(data)}
    if set(placed) != set(range(count)):
        return None
    try:
        vectors = np.array([placed[place] for place in range(count)], dtype=np.float32)
    except (ValueError, TypeError):
        return None
    return vectors if vectors.ndim == 2 and vectors.shape[1] and np.isfinite(vectors).all() else None
