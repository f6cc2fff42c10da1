"""What to label next: groups of unlabelled samples in the order that helps most, after all that people decided."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kdsl.bitmaps import Flags, indices, unpack
from kdsl.fields.table import FieldTable
from kdsl.files import stamp_of
from kdsl.models.active_learning import Alike, Floats, find_alike, next_to_label, uncertainty
from kdsl.retrieval.wording import opening
from kdsl.review.model_predictions import ModelPredictions
from kdsl.sample import Sample

if TYPE_CHECKING:
    from kdsl.review.site import Site

AHEAD = 50
"""Groups that are known in advance."""


@dataclass(frozen=True, eq=False)
class LabelGuide:
    """What the order of a task is made of. It holds on while its samples are labelled, one after the other."""

    rows: Mapping[str, int]
    """The samples, labelled or not, by their fingerprint."""
    alike: Alike
    probabilities: Floats
    """[n_samples, n_labels] by the model; of labelled ones zeros."""


def make_guide(labelled: FieldTable, unlabelled: FieldTable, opinions: ModelPredictions | None) -> LabelGuide | None:
    """Takes seconds for thousands of samples; None where nothing is to be labelled, or no model says anything.

    None, too, where a sample may have several labels: one key gives one label.
    """
    if opinions is None or opinions.multi or not len(unlabelled):
        return None
    table = FieldTable.of_rows([*labelled.rows, *unlabelled.rows])
    rows = {row.sample.fingerprint: number for number, row in enumerate(table.rows)}
    of_labelled = np.zeros((len(labelled), opinions.probabilities.shape[1]))
    return LabelGuide(rows, find_alike(table), np.concatenate([of_labelled, opinions.probabilities]))


@dataclass(frozen=True)
class Group:
    """Unlabelled samples that get one label together."""

    samples: tuple[Sample, ...]
    """The one whose label says most, then those that mean the same."""
    value: float
    """See `kdsl.models.active_learning.ToLabel.value`."""
    probabilities: Floats
    """[n_labels], what the model says of the first."""
    opening: str
    """How the first begins, for a list."""

    @property
    def name(self) -> str:
        """What it is addressed by: the fingerprint of the first sample."""
        return self.samples[0].fingerprint


class Labelling:
    """The groups of all tasks. Safe for threads. It stays while the site is read anew."""

    def __init__(self) -> None:
        self.guides: dict[str, LabelGuide] = {}
        """By the task's name; none until the model was asked."""
        self._mutex = threading.RLock()
        self._skipped: dict[str, dict[str, None]] = {}
        self._made: dict[str, tuple[object, list[Group]]] = {}

    def groups(self, site: "Site", task: str) -> list[Group]:
        """At most `AHEAD` of them, the best first, and what was skipped last; none while the model is asked."""
        guide = self.guides.get(task)
        if guide is None:
            return []
        with self._mutex:
            skipped = tuple(self._skipped.get(task, ()))
            made_of = guide, site.indexes[task], site.store.generation, stamp_of(site.config.data.label_log), skipped
            known = self._made.get(task)
            if known is None or known[0] != made_of:
                known = self._made[task] = made_of, _groups(site, task, guide, skipped)
            return known[1]

    def skip(self, task: str, name: str) -> None:
        """Ask about a group after all others from now on, until the page is started again."""
        with self._mutex:
            skipped = self._skipped.setdefault(task, {})
            skipped.pop(name, None)
            skipped[name] = None


def _groups(site: "Site", task: str, guide: LabelGuide, skipped: tuple[str, ...]) -> list[Group]:
    unlabelled, table = site.indexes[task].unlabelled.samples, site.indexes[task].unlabelled.table
    given = site.labels.log.given()
    places = {guide.rows[sample.fingerprint]: at for at, sample in enumerate(unlabelled)
              if sample.fingerprint in guide.rows and given.of(sample) is None}  # fmt: skip
    open_ = np.zeros(len(guide.alike), dtype=bool)
    open_[list(places)] = True
    known = ~open_
    decided, votes = _said_by_rules(site, task)
    of_guide, of_site = np.array(list(places), dtype=np.int64), np.array(list(places.values()), dtype=np.int64)
    unsure = np.zeros(len(guide.alike))
    unsure[of_guide] = uncertainty(guide.probabilities[of_guide], votes[of_site]) * ~decided[of_site]
    open_[of_guide] = ~decided[of_site]
    said = guide.probabilities.argmax(axis=1)
    groups = []
    for each in next_to_label(guide.alike, unsure, known, open_, said, AHEAD + len(skipped)):
        samples = tuple(unlabelled[places[row]] for row in each.rows)
        first = each.rows[0]
        words = opening(table.rows[places[first]])
        groups.append(Group(samples, each.value, guide.probabilities[first], words))
    later = [name for name in skipped if any(group.name == name for group in groups)]
    groups.sort(key=lambda group: later.index(group.name) + 1 if group.name in later else 0)
    return groups[:AHEAD]


def _said_by_rules(site: "Site", task: str) -> tuple[Flags, Floats]:
    """What accepted rules decide of the unlabelled samples [n_samples], and what undecided ones say of them.

    The latter as in `uncertainty`: [n_samples, n_labels].
    """
    overview, index = site.overview(task), site.indexes[task]
    n_samples = len(index.unlabelled.samples)
    accepted = np.array([stored.approved for stored in overview.rules], dtype=bool)
    undecided = np.array([stored.open for stored in overview.rules], dtype=bool) & (overview.labels >= 0)
    decided = np.bitwise_or.reduce(overview.unlabelled[accepted], axis=0, initial=0)
    votes = np.zeros((n_samples, len(index.task.labels)))
    rules, samples = indices(overview.unlabelled[undecided])
    np.maximum.at(votes, (samples, overview.labels[undecided][rules]), overview.precision[undecided][rules])
    return unpack(decided, n_samples), votes
