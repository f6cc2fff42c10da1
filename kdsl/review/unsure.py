"""Unlabelled samples that the model is unsure about: where a label says more than a rule."""

import numpy as np

from kdsl.bitmaps import Flags, unpack
from kdsl.review.site import Site
from kdsl.review.value_of_looking import Counts, Floats


def open_beliefs(site: Site, task: str) -> tuple[Floats, Flags]:
    """What the model says of the unlabelled samples [n_samples, n_labels], and which of them are open [n_samples].

    None is where the model is not known. Otherwise those are that no accepted rule hits.
    """
    overview, index = site.overview(task), site.indexes[task]
    n_samples = len(index.unlabelled.samples)
    if index.opinions is None:
        return np.zeros((n_samples, len(index.task.labels))), np.zeros(n_samples, dtype=bool)
    accepted = np.array([stored.approved for stored in overview.rules], dtype=bool)
    decided = np.bitwise_or.reduce(overview.unlabelled[accepted], axis=0, initial=0)
    return index.opinions.probabilities, ~unpack(decided, n_samples)


def unsure_rows(site: Site, task: str) -> Counts:
    """The open ones, those first that the model is least sure about."""
    probabilities, open_ = open_beliefs(site, task)
    rows = np.flatnonzero(open_)
    asked = probabilities[rows]
    if site.indexes[task].task.multi:
        return rows[np.argsort((asked * (asked - 1)).sum(axis=1), kind="stable")]
    return rows[np.argsort(np.square(asked).sum(axis=1), kind="stable")]
