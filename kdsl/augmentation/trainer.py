"""Learning from samples and their changed copies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kdsl.augmentation.augmenter import Augmenter
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Classifier, Trainer
from kdsl.models.soft_labels import SoftLabelLearner, SoftLabels
from kdsl.rules.rule import Rule


@dataclass(frozen=True)
class AugmentingTrainer:
    """Fits `inner` on the rows that it is given and on copies of just these. Implements `Trainer`.

    In cross-validation it is given the rows of a fold, so that no copy of a sample is learned from that the fold holds
    out.
    """

    inner: Trainer
    augmenter: Augmenter

    def with_soft_labels(self, soft_labels: SoftLabels) -> "AugmentingTrainer":
        """See `SoftLabelLearner.with_soft_labels`; of a teacher's samples no copies are made."""
        assert isinstance(self.inner, SoftLabelLearner)
        return replace(self, inner=self.inner.with_soft_labels(soft_labels))

    def sparing(self, rules: Sequence[Rule]) -> "AugmentingTrainer":
        """The same with copies on which these rules still hold."""
        return replace(self, augmenter=replace(self.augmenter, rules=tuple(rules)))

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Classifier:
        """See `Trainer.fit`."""
        copies = self.augmenter.copies(table, labels)
        return self.inner.fit(table.joined(copies.table), np.concatenate([labels, copies.labels]), n_labels)
