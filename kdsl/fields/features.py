"""Samples as vectors: TF-IDF of the character n-grams of every text field, numbers, sentence vectors, pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.dense import DenseBlock, dense_of_record, fit_dense
from kdsl.fields.ngrams import LONGEST_NGRAM, NgramWeights
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.npz_file import floats
from kdsl.sample import original_rows

if TYPE_CHECKING:
    # scikit-learn and scipy take a second to import: commands that need no classifier must not wait for them.
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]

FIELD_WEIGHTS = {
    "last_user": 1.0,
    "user": 0.7,
    "last_agent": 0.4,
    "dialogue": 0.5,
    "ocr": 0.3,
    "ocr.top": 0.15,
    "ocr.bottom": 0.15,
    "caption": 0.3,
}
"""The length of each field's TF-IDF vector. Weights and penalty were chosen together: docs/classifiers.md."""
NUMBER_WEIGHT = 0.03
CHARACTERS = "characters"
"""The view of all n-grams but the last agent turn's, and of numbers."""

Matrix: TypeAlias = "csr_matrix | Floats"
Fit: TypeAlias = "Callable[[FieldTable], tuple[Features, list[tuple[str, Matrix]]]]"
"""`fit_features`, or one that remembers: `FitOnce`."""


@dataclass(frozen=True)
class FieldBlock:
    """The TF-IDF vectors of one text field."""

    field: str
    weight: float
    vectorizer: NgramWeights

    @property
    def view(self) -> str:
        return f"{CHARACTERS}.{self.field}" if self.field == "last_agent" else CHARACTERS


@dataclass(frozen=True)
class Features:
    """Which n-grams, thresholds and dense vectors the samples that it was fitted on call for.

    They stand in several views of a sample, which count as much as they prove worth (`kdsl.models.views`).
    """

    blocks: tuple[FieldBlock, ...]
    thresholds: dict[str, Floats]
    """For every number that varied in training: a feature for each threshold says whether the number is above."""
    dense: tuple[DenseBlock, ...] = ()
    number_weight: float = NUMBER_WEIGHT

    @property
    def sparse_size(self) -> int:
        """Features in front of the dense ones."""
        texts = sum(len(block.vectorizer.ngrams) for block in self.blocks)
        return texts + sum(len(thresholds) for thresholds in self.thresholds.values())

    @property
    def size(self) -> int:
        return self.sparse_size + sum(block.size for block in self.dense)

    def parts(self, table: FieldTable) -> "list[tuple[str, Matrix]]":
        """(view, [n_samples, n_features of it]), side by side all features; a view may come in several parts."""
        return self._parts(
            [block.vectorizer.transform(table.texts(block.field)) for block in self.blocks],
            _above(table, self.thresholds),
            [block.matrix(table) for block in self.dense],
        )

    def parts_of_texts(self, table: FieldTable, texts: Sequence[str]) -> "list[tuple[str, Matrix]]":
        """The same for samples that hold each of the normalised `texts` in every field, and nothing else.

        `table` knows the encoder.
        """
        from scipy.sparse import csr_matrix

        numbers = sum(len(values) for values in self.thresholds.values())
        return self._parts(
            [block.vectorizer.transform(texts) for block in self.blocks],
            csr_matrix((len(texts), numbers)),
            [block.of_texts(table, texts) for block in self.dense],
        )

    def _parts(
        self, texts: "Sequence[csr_matrix]", numbers: "csr_matrix", dense: Sequence[Floats]
    ) -> "list[tuple[str, Matrix]]":
        parts: list[tuple[str, Matrix]] = [
            (block.view, matrix * block.weight) for block, matrix in zip(self.blocks, texts, strict=True)
        ]
        parts.append((CHARACTERS, numbers * self.number_weight))
        return parts + [(block.view, matrix) for block, matrix in zip(self.dense, dense, strict=True)]

    def scores(self, table: FieldTable, weights: Floats) -> Floats:
        """`matrix(table) @ weights`: [n_samples, n_scores], for `weights` [n_features, n_scores].

        For few samples it takes a fraction of the time that making their matrix does.
        """
        from scipy.sparse import csr_matrix

        found, first = [], 0
        for block in self.blocks:
            rows, columns, values = block.vectorizer.entries(table.texts(block.field))
            found.append((rows, columns + first, values * block.weight))
            first += len(block.vectorizer.ngrams)
        scores = np.zeros((len(table), weights.shape[1]))
        if found:
            rows, columns, values = map(np.concatenate, zip(*found, strict=True))
            order = np.argsort(rows, kind="stable")
            starts = np.searchsorted(rows[order], np.arange(len(table) + 1))
            scores += csr_matrix((values[order], columns[order], starts), (len(table), first)) @ weights[:first]
        for name, thresholds in self.thresholds.items():
            numbers = np.array([_NUMBERS[name](row) for row in table.rows])[:, None]
            scores += (numbers > thresholds) @ weights[first : first + len(thresholds)] * self.number_weight
            first += len(thresholds)
        for dense in self.dense:
            scores += dense.matrix(table) @ weights[first : first + dense.size]
            first += dense.size
        return scores

    def encoded(self, table: FieldTable) -> list[str]:
        """The texts whose sentence vectors are features."""
        fields = [block.view.split(".", 1)[1] for block in self.dense if not block.is_sight]
        return [text for field in fields for text in table.texts(field)]

    def matrix(self, table: FieldTable) -> "csr_matrix":
        """[n_samples, n_features]"""
        return joined(self.parts(table))

    def weighted(self, factors: Mapping[str, float]) -> "Features":
        """The same with the weights of some views multiplied by `factors`, all above 0."""
        blocks = tuple(replace(block, weight=block.weight * factors.get(block.view, 1.0)) for block in self.blocks)
        dense = tuple(block.scaled(factors.get(block.view, 1.0)) for block in self.dense)
        return replace(
            self, blocks=blocks, dense=dense, number_weight=self.number_weight * factors.get(CHARACTERS, 1.0)
        )

    def record(self) -> dict[str, Any]:
        """Everything but idf values and means, for JSON."""
        return {
            "blocks": [
                {
                    "field": block.field,
                    "weight": block.weight,
                    "ngrams": list(block.vectorizer.ngrams),
                }
                for block in self.blocks
            ],
            "thresholds": {name: values.tolist() for name, values in self.thresholds.items()},
            "dense": [block.record() for block in self.dense],
            "number_weight": self.number_weight,
        }

    def arrays(self) -> dict[str, Floats]:
        """The idf values and means of every block, for an npz file."""
        idf = {f"idf{number}": block.vectorizer.idf for number, block in enumerate(self.blocks)}
        return {**idf, **{f"mean{number}": block.mean for number, block in enumerate(self.dense)}}


def joined(parts: "Sequence[tuple[str, Matrix]]") -> "csr_matrix":
    """All parts side by side: [n_samples, n_features]"""
    from scipy.sparse import csr_matrix, hstack

    return hstack([csr_matrix(matrix) for _, matrix in parts], format="csr")


def features_of_record(record: dict[str, Any], arrays: Any) -> Features:
    """What `Features.record` and `Features.arrays` gave; ValueError or KeyError where they are something else."""
    blocks = []
    for number, block in enumerate(record["blocks"]):
        if block["field"] not in FIELD_WEIGHTS:
            raise ValueError(f"unknown field {block['field']!r}")
        if not 0 < float(block["weight"]) < np.inf:
            raise ValueError(f"the weight {block['weight']!r}")
        vectorizer = ngram_weights(block["ngrams"], floats(arrays, f"idf{number}", 1))
        blocks.append(FieldBlock(block["field"], float(block["weight"]), vectorizer))
    for name in record["thresholds"]:
        if name not in _NUMBERS:
            raise ValueError(f"unknown number {name!r}")
    thresholds = {name: np.asarray(values, dtype=np.float64) for name, values in record["thresholds"].items()}
    if any(values.ndim != 1 or not np.isfinite(values).all() for values in thresholds.values()):
        raise ValueError("thresholds that are no numbers")
    dense = [dense_of_record(block, arrays, f"mean{number}") for number, block in enumerate(record["dense"])]
    number_weight = float(record["number_weight"])
    if not 0 < number_weight < np.inf:
        raise ValueError(f"the weight of numbers {number_weight!r}")
    return Features(tuple(blocks), thresholds, tuple(dense), number_weight)


def ngram_weights(ngrams: Sequence[str], idf: Floats) -> NgramWeights:
    """These n-grams with their weights; ValueError where there cannot be such."""
    if not ngrams or len(set(ngrams)) < len(ngrams) or not all(isinstance(ngram, str) for ngram in ngrams):
        raise ValueError("n-grams that are none, or are given twice")
    if len(idf) != len(ngrams):
        raise ValueError(f"{len(idf)} weights of {len(ngrams)} n-grams")
    return NgramWeights(tuple(ngrams), idf)


def fit_features(table: FieldTable) -> "tuple[Features, list[tuple[str, Matrix]]]":
    """The features that training samples call for, and their parts, as `Features.parts` gives them."""
    blocks: list[FieldBlock] = []
    texts: list[csr_matrix] = []
    sources = original_rows([row.sample for row in table.rows])
    for field, values in table.distinct_texts(FIELD_WEIGHTS):
        vectorizer, matrix = fit_ngrams(values, sources)
        blocks.append(FieldBlock(field, FIELD_WEIGHTS[field], vectorizer))
        texts.append(matrix)
    thresholds = {}
    for name, number in _NUMBERS.items():
        values_ = np.array([number(row) for row in table.rows])
        candidates = np.unique(np.quantile(values_, np.linspace(0.1, 0.9, 9)))
        candidates = candidates[candidates < values_.max()]
        if len(candidates) and values_.min() < values_.max():
            thresholds[name] = candidates
    dense = fit_dense(table)
    features = Features(tuple(blocks), thresholds, tuple(block for block, _ in dense))
    return features, features._parts(texts, _above(table, thresholds), [matrix for _, matrix in dense])


class FitOnce:
    """`fit_features` for several classifiers that learn from the same samples: what was fitted last is remembered."""

    def __init__(self) -> None:
        self._rows: list[SampleFields] = []
        self._fitted: tuple[Features, list[tuple[str, Matrix]]] | None = None

    def __call__(self, table: FieldTable) -> "tuple[Features, list[tuple[str, Matrix]]]":
        """See `fit_features`. A table of the very same rows is the same table."""
        same = len(table) == len(self._rows) and all(map(is_, table.rows, self._rows))
        if self._fitted is None or not same:
            self._rows, self._fitted = list(table.rows), fit_features(table)
        return self._fitted


def fit_ngrams(texts: list[str], sources: Sequence[int] | None = None) -> tuple[NgramWeights, "csr_matrix"]:
    """n-grams of at least two texts; where no two texts share a character, all n-grams. The matrix: [n_texts, n].

    Texts of one of `sources` [n_texts] count as one: what a sample shares with its own copies alone tells nothing.
    """
    samples = texts if sources is None else _one_a_source(texts, sources)
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer="char",
        ngram_range=(1, LONGEST_NGRAM),
        sublinear_tf=True,
        lowercase=False,
        min_df=2 if _share_characters(samples) else 1,
    )
    matrix = vectorizer.fit_transform(samples)
    weights = NgramWeights(tuple(vectorizer.get_feature_names_out()), vectorizer.idf_)
    return weights, matrix if len(samples) == len(texts) else vectorizer.transform(texts)


def _one_a_source(texts: list[str], sources: Sequence[int]) -> list[str]:
    joined: dict[int, dict[str, None]] = {}
    for text, source in zip(texts, sources, strict=True):
        joined.setdefault(source, {})[text] = None
    return ["\n".join(each) for each in joined.values()]


def _share_characters(texts: list[str]) -> bool:
    """Whether two texts have a visible character in common: the vectorizer has its own ways with blank ones."""
    seen: set[str] = set()
    for text in texts:
        characters = {character for character in text if not character.isspace()}
        if characters & seen:
            return True
        seen |= characters
    return False


def _above(table: FieldTable, thresholds: dict[str, Floats]) -> "csr_matrix":
    """1 for the thresholds that the numbers of the samples are above, else 0: [n_samples, n_thresholds]"""
    from scipy.sparse import csr_matrix, hstack

    parts = []
    for name, values in thresholds.items():
        column = np.array([_NUMBERS[name](row) for row in table.rows])[:, None]
        parts.append(csr_matrix(column > values, dtype=np.float64) if len(table) else csr_matrix((0, len(values))))
    return hstack(parts, format="csr") if parts else csr_matrix((len(table), 0))


def _ocr_lines(row: SampleFields) -> float:
    text = row.text("ocr").text
    return float(text.count("\n") + 1 if text else 0)


_NUMBERS = {
    "image.aspect": lambda row: row.number("image.aspect") or 0.0,
    "image.count": lambda row: row.number("image.count"),
    "turns": lambda row: row.number("turns"),
    "lines of ocr": _ocr_lines,
    "characters of ocr": lambda row: float(len(row.text("ocr").text)),
}
