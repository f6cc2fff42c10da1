"""Active learning: the unlabelled samples whose labels help most, and those that mean the same as one of them.

A label says something about the samples that are like it. The next one to ask for is that which says most about what
the model is unsure about and no label has said yet: facility location weighted by uncertainty, chosen greedily, so
that a batch is diverse too (Wei, Iyer and Bilmes 2015, "Submodularity in data subset selection and active learning").
While the model knows little all samples are unsure, and what is typical comes first (as in Hacohen, Dekel and
Weinshall 2022, "Active learning on a budget"); later it is what lies between labels.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.dense import fit_dense
from kdsl.fields.features import Matrix, fit_features, joined
from kdsl.fields.table import FieldTable

if TYPE_CHECKING:
    # scipy takes long to import: see `kdsl.fields.features`.
    from scipy.sparse import csc_matrix, csr_matrix

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

SAME_MEANING = 0.85
"""Cosine from which samples are decided together: of such pairs of banking77 19 in 20 have one label."""
LARGEST_GROUP = 20
"""Samples that are decided together, at most: somebody has to look at them."""
SHARPNESS = 3.0
"""How fast what a label says fades: it is e^-3 at the usual distance of a sample's nearest neighbour. Of 2 to 5 this
was best on banking77, mire and hint3 together."""
GAINED = 5.0
"""Samples decided better for each whole unit of squared uncertainty that labels tell about, as measured: 3 to 12 over
60 to 100 decisions on banking77, hint3 and mire (`scripts/bench labelling DATA --queue`)."""
MOST_ALIKE = 100
"""Of a sample so many others are looked at, the nearest; what is farther than these is told nothing anyway."""
_LEAST_TOLD = 0.005
_LEAST_SPREAD = 0.01
_BLOCK = 1024
"""Samples that are compared with all others at once."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Which samples are like which; both matrices are symmetric."""

    cosines: "csr_matrix"
    """[n_samples, n_samples], of a sample with itself 1; no entry where samples have little in common."""
    told: "csc_matrix"
    """[n_samples, n_samples], 0 to 1: how much of what is unknown about the row the label of the column tells."""

    def __len__(self) -> int:
        return int(self.cosines.shape[0])

    def select(self, rows: Rows) -> "Alike":
        """The same of some of the samples."""
        return Alike(self.cosines[rows][:, rows], self.told[rows][:, rows])


def find_alike(table: FieldTable) -> Alike:
    """Compare samples by meaning and by looks, or by their characters where there is no sentence encoder.

    Time grows with the square of their number: some seconds for 20 000.
    """
    from scipy.sparse import csc_matrix, csr_matrix, identity

    n = len(table)
    if n == 0:
        return Alike(csr_matrix((0, 0)), csc_matrix((0, 0)))
    nearest, rows, columns, cosines = np.zeros(n), [], [], []
    for row, others, found in _near(_vectors(table)):
        nearest[row] = found.max(initial=0.0)
        rows.append(np.full(len(others), row))
        columns.append(others)
        cosines.append(found)
    one_way = csr_matrix((np.concatenate(cosines), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
    alike = (one_way.maximum(one_way.T) + identity(n, format="csr")).tocsr()  # of a sample with itself none was found
    spread = max((1 - float(np.median(nearest))) / SHARPNESS, _LEAST_SPREAD)
    told = alike.copy()
    told.data = np.exp((told.data - 1) / spread)
    told.data[told.data < _LEAST_TOLD] = 0.0
    told.eliminate_zeros()
    return Alike(alike, told.tocsc())


def uncertainty(probabilities: Floats, votes: Floats | None = None) -> Floats:
    """Half the squared error to expect of each sample's probabilities (Brier 1950), in samples: [n_samples].

    `probabilities` [n_samples, n_labels] are the model's. `votes` of the same shape, each 0 to 1, say how precise the
    best undecided rule for the label is that holds on the sample. Where rules speak against each other or against the
    model, the sample counts more, since its label would decide between them too; it never counts less.
    """
    unsure = (1 - np.square(probabilities).sum(axis=1)) / 2
    if votes is None:
        return unsure
    heard = (probabilities + votes) / (1 + votes.sum(axis=1, keepdims=True))
    return np.maximum(unsure, (1 - np.square(heard).sum(axis=1)) / 2)


@dataclass(frozen=True)
class ToLabel:
    """Samples to be given one label together."""

    rows: tuple[int, ...]
    """The one whose label says most, then those that mean the same, the nearest first."""
    value: float
    """How many samples are expected to be decided better once the label is learned from; see `uncertainty`."""


def next_to_label(
    alike: Alike, unsure: Floats, known: Flags, open_: Flags, said: Rows, number: int
) -> list[ToLabel]:  # fmt: skip
    """The `number` groups to label next, the best first; none counts what another one tells already.

    Parameters
    ----------
    unsure : what is still unknown about each sample, see `uncertainty`; [n_samples], 0 for one that is decided
    known : which samples have a label; [n_samples]
    open_ : which ones may be asked about; [n_samples]
    said : the label that the model says; [n_samples]. What it tells apart is not in one group.
    """
    # Squared: of what the model is nearly sure about, a label that tells of it mostly says the same.
    gain = GAINED * np.square(unsure)
    covered = _covered(alike.told, np.flatnonzero(known))
    weighted = alike.told.tocoo()
    gains = np.maximum(weighted.data - covered[weighted.row], 0.0) * gain[weighted.row]
    bounds = np.bincount(weighted.col, gains, minlength=len(alike))
    free = open_ & ~known
    # What others tell only grows, so that what a sample adds only falls: a bound that holds is the best (Minoux 1978).
    queue = [(-bounds[row], int(row)) for row in np.flatnonzero(free)]
    heapq.heapify(queue)
    found: list[ToLabel] = []
    while queue and len(found) < number:
        _, row = heapq.heappop(queue)
        if not free[row]:
            continue
        value = _gained(alike.told, [row], covered, gain)
        if queue and value < -queue[0][0] - 1e-12:
            heapq.heappush(queue, (-value, row))
            continue
        rows = _same_meaning(alike.cosines, row, free, said)
        found.append(ToLabel(tuple(rows), _gained(alike.told, rows, covered, gain)))
        free[rows] = False
        covered = np.maximum(covered, _covered(alike.told, np.array(rows)))
    return sorted(found, key=lambda group: -group.value)  # a group may say more than the one that it was chosen for


def _same_meaning(cosines: "csr_matrix", row: int, free: Flags, said: Rows) -> list[int]:
    """The sample, and those that are `free`, mean the same, and are the same to the model; the nearest first."""
    of_row = cosines[row]
    others = of_row.indices[np.argsort(-of_row.data, kind="stable")]
    near = set(of_row.indices[of_row.data >= SAME_MEANING].tolist()) - {row}
    same = [int(i) for i in others if int(i) in near and free[i] and said[i] == said[row]]
    return [row, *same[: LARGEST_GROUP - 1]]


def _covered(told: "csc_matrix", rows: Rows) -> Floats:
    """How much the labels of `rows` tell about each sample: [n_samples]"""
    if not len(rows):
        return np.zeros(told.shape[0])
    return np.asarray(told[:, rows].max(axis=1).todense(), dtype=np.float64).ravel()


def _gained(told: "csc_matrix", rows: list[int], covered: Floats, gain: Floats) -> float:
    """By labelling `rows`; `gain` [n_samples] is that by knowing all about a sample."""
    more = np.maximum(_covered(told, np.array(rows)) - covered, 0.0)
    return float(more @ gain)


def _vectors(table: FieldTable) -> Matrix:
    """[n_samples, n_dimensions], of unit length; meanings and looks are taken from their mean."""
    from sklearn.preprocessing import normalize

    dense = fit_dense(table)
    if any(block.view.startswith("meaning.") for block, _ in dense):
        vectors = np.concatenate([matrix for _, matrix in dense], axis=1)
        return normalize((vectors - vectors.mean(axis=0)).astype(np.float32))
    _, parts = fit_features(table)
    features = joined(parts)
    return normalize(features) if features.shape[1] else features


def _near(vectors: Matrix) -> "Iterator[tuple[int, Rows, Floats]]":
    """(row, other rows, cosines above 0) of every sample, at most `MOST_ALIKE`."""
    n = vectors.shape[0]
    for begin in range(0, n, _BLOCK):
        product = vectors[begin : begin + _BLOCK] @ vectors.T
        cosines = product if isinstance(product, np.ndarray) else product.toarray()
        for row, of_row in enumerate(cosines, start=begin):
            of_row[row] = 0.0
            others = np.argpartition(-of_row, MOST_ALIKE)[:MOST_ALIKE] if n > MOST_ALIKE else np.arange(n)
            others = others[of_row[others] > 0]
            yield row, others, np.minimum(of_row[others].astype(np.float64), 1.0)
