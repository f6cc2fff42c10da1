"""The classifiers that run anywhere, `large: linear` and `large: neighbours`, with what `prompt` adds to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat

from kdsl.config import ProjectConfig
from kdsl.errors import Hint, KdslError
from kdsl.fields.features import Fit, FitOnce
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.files import is_there, write_atomically
from kdsl.label_matrix import require_one_label
from kdsl.models.classifier import Encoding, Predicted, Trainer
from kdsl.models.cold_start import COLD_START_FILE, ColdStartClassifier, ColdStartTrainer
from kdsl.models.described import DescribedClassifier, DescribedTrainer
from kdsl.models.ensemble import Ensemble, fit_ensemble
from kdsl.models.explanation import Explanation
from kdsl.models.linear import LinearClassifier, LinearTrainer
from kdsl.models.neighbours import NeighboursClassifier, NeighboursTrainer
from kdsl.models.soft_labels import SoftLabels, SoftLabelTrainer
from kdsl.models.views import fit_views
from kdsl.record_file import RecordModel, read_trained
from kdsl.sample import Task

EMBEDDED_FILE = "embedded.json"

PartName = Literal["linear", "neighbours", "described", "cold_start"]


@dataclass(frozen=True)
class Embedded:
    """Which classifiers a project's embedded one is made of, and what they read."""

    parts: tuple[PartName, ...] = ("linear",)
    """The first is the one that `large:` names."""
    cleaned: bool = False
    """Whether they read cleaned OCR pages."""

    @classmethod
    def of(cls, config: ProjectConfig) -> "Embedded":
        """`prompt.ocr` has pages cleaned, `prompt.neighbours` and `prompt.knowledge` ask for more parts."""
        main: PartName = "neighbours" if config.large == "neighbours" else "linear"
        parts = [main]
        if config.prompt.neighbours and main != "neighbours":
            parts.append("neighbours")
        if config.prompt.knowledge:
            parts += ["described", "cold_start"]
        return cls(tuple(parts), config.prompt.ocr)

    def files(self, folder: Path) -> list[Path]:
        """What a trained one left in a checkpoint folder; errors are those of `trained`."""
        return [folder / EMBEDDED_FILE, *(folder / f"{part}.npz" for part in self.trained(folder).weights)]

    def trained(self, folder: Path) -> "EmbeddedRecord":
        """What is said about the one in `folder`; KdslError where there is none, or it was made of something else."""
        record = read_trained(EmbeddedRecord, folder / EMBEDDED_FILE)
        if tuple(record.weights) != self.parts or record.cleaned != self.cleaned:
            was = _words(tuple(record.weights), record.cleaned)
            raise KdslError(
                f"{folder}: trained as {was}, but kdsl.yaml now asks for {_words(self.parts, self.cleaned)}",
                Hint.SET_BACK,
            )
        return record


LINEAR = Embedded()


class EmbeddedRecord(RecordModel):
    """Saved as <checkpoint>/<task>/embedded.json."""

    version: int = 1
    weights: dict[PartName, NonNegativeFloat] = Field(min_length=1)
    cleaned: bool


@dataclass(frozen=True)
class EmbeddedTrainer:
    """Trains an `EmbeddedClassifier` for one task; the same samples give the same classifier."""

    task: Task
    embedded: Embedded = LINEAR
    seed: int = 0
    soft_labels: SoftLabels | None = None
    """What a teacher or rules labelled: the linear part learns from it too."""

    def with_soft_labels(self, soft_labels: SoftLabels) -> "EmbeddedTrainer":
        """See `SoftLabelLearner.with_soft_labels`."""
        if "linear" not in self.embedded.parts:
            raise KdslError("large: neighbours learns from people's labels alone; set `large: linear` for a teacher's")
        return replace(self, soft_labels=soft_labels)

    @property
    def linear_alone(self) -> "EmbeddedTrainer":
        """The same without the other parts, which is several times as fast to train."""
        return replace(self, embedded=replace(self.embedded, parts=("linear",)))

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> "EmbeddedClassifier":
        """See `Trainer.fit`. Where a sample may have several labels, the linear part alone knows of it."""
        if self.embedded.parts != ("linear",):
            require_one_label([self.task], f"large: {' + '.join(self.embedded.parts)}")
        read = table.cleaned() if self.embedded.cleaned else table
        features = FitOnce()
        learned = "linear" in self.embedded.parts and len(read) > 0
        factors = fit_views(read, labels, features) if learned else {}
        made: dict[str, Trainer] = {
            "linear": self._linear(factors, features),
            "neighbours": NeighboursTrainer(features),
            "described": DescribedTrainer(self.task, features),
            "cold_start": ColdStartTrainer(self.task),
        }
        trainers = {str(part): made[part] for part in self.embedded.parts}
        return EmbeddedClassifier(fit_ensemble(trainers, read, labels, n_labels, self.seed), self.embedded.cleaned)

    def _linear(self, factors: Mapping[str, float], features: Fit) -> Trainer:
        """With views weighted once for all folds of the ensemble."""
        linear = LinearTrainer(self.seed, self.task, factors, features)
        if self.soft_labels is None:
            return linear
        return SoftLabelTrainer(linear, self.soft_labels.cleaned() if self.embedded.cleaned else self.soft_labels)


@dataclass(frozen=True)
class EmbeddedClassifier:
    """The weighted product of its parts, on pages as they read them."""

    ensemble: Ensemble
    cleaned: bool

    @property
    def shares(self) -> Mapping[str, float]:
        """How much of the linear part each kind of view is, see `kdsl.models.views.leaning`; nothing without one."""
        linear = self.ensemble.parts.get("linear")
        return linear.leaning if isinstance(linear, LinearClassifier) else {}

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`."""
        return Predicted(self.ensemble.probabilities(table.cleaned() if self.cleaned else table))

    def encoded(self, table: FieldTable) -> list[str]:
        """See `Encoding.encoded`: those of the linear part, among which are those of the others."""
        read = table.cleaned() if self.cleaned else table
        return [
            text for part in self.ensemble.parts.values() if isinstance(part, Encoding) for text in part.encoded(read)
        ]

    def explain(self, row: SampleFields) -> Explanation:
        """See `Explainable.explain`."""
        read = row.cleaned if self.cleaned else row
        parts = self.ensemble.parts
        near, described = parts.get("neighbours"), parts.get("described")
        weights = dict(zip(parts, self.ensemble.weights, strict=True)) if len(parts) > 1 else {}
        return Explanation(
            near.near(read) if isinstance(near, NeighboursClassifier) else None,
            described.nearest(read) if isinstance(described, DescribedClassifier) else None,
            weights,
        )

    def save(self, folder: Path) -> None:
        """Write a file for every part, and `embedded.json`; KdslError when `folder` cannot be written."""
        for part in self.ensemble.parts.values():
            part.save(folder)
        weights = dict(zip(self.ensemble.parts, self.ensemble.weights, strict=True))
        record = EmbeddedRecord.model_validate({"weights": weights, "cleaned": self.cleaned})
        write_atomically(folder / EMBEDDED_FILE, record.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, embedded: Embedded, n_labels: int | None = None) -> "EmbeddedClassifier":
        """Read what `save` wrote. Raises KdslError when something is missing, damaged or of another version, and when
        it is not what the project now has, of whose task `n_labels` are the labels."""
        record = embedded.trained(folder)
        loaders: dict[PartName, Any] = {
            "linear": LinearClassifier, "neighbours": NeighboursClassifier, "described": DescribedClassifier,
            "cold_start": ColdStartClassifier,
        }  # fmt: skip
        parts = {str(part): loaders[part].load(folder) for part in record.weights}
        for name, part in parts.items():
            if n_labels not in (None, part.n_labels):
                place = folder / f"{name}.npz"
                raise KdslError(f"{place}: trained for {part.n_labels} labels, not {n_labels}", Hint.TRAIN_AGAIN)
        return cls(Ensemble(parts, tuple(record.weights.values())), record.cleaned)


def is_cold(folder: Path) -> bool:
    """Whether what training left in `folder` goes by the labels' names alone; else that is one part of an ensemble."""
    return is_there(folder / COLD_START_FILE) and not is_there(folder / EMBEDDED_FILE)


def _words(parts: tuple[PartName, ...], cleaned: bool) -> str:
    return " + ".join(parts) + (" on cleaned OCR" if cleaned else "")
