"""What the small model of a project does in mining one task."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable
from kdsl.mining.proposer import LexicalProposer, NodeAdviser, Proposer, Validator
from kdsl.mining.update import Synonyms
from kdsl.pretrained import model_name
from kdsl.project.project import Project
from kdsl.sample import Task
from kdsl.small.adviser import SmallAdviser
from kdsl.small.meaning import MeaningProposer, MeaningValidator
from kdsl.small.proposer import SmallProposer
from kdsl.small.synonyms import unseen_synonyms
from kdsl.small.validator import SmallValidator
from kdsl.vlm.cache import UNUSABLE, CachedModel
from kdsl.vlm.usage import CallBudget


@dataclass(frozen=True)
class SmallParts:
    """What proposes conditions, what judges rules, what is asked inside the search, and what knows other words for
    their terms."""

    proposer: Proposer = field(default_factory=LexicalProposer)
    validator: Validator | None = None
    adviser: NodeAdviser | None = None
    synonyms: Synonyms | None = None
    budget: CallBudget = field(default_factory=lambda: CallBudget(0))

    def told(self, task: Task, model: CachedModel | None) -> list[str]:
        """What the small model did, in a line each; nothing for the lexical proposer."""
        if model is None or not isinstance(self.proposer, SmallProposer):
            return []
        written = self.proposer.written
        lines = [
            f"{task.name}: {len(written.grounded)} terms and {len(written.synonyms)} synonyms of the small model are "
            f"candidates, {written.dropped} that no sample of their label holds were dropped; {model.asked} calls so "
            "far, all others were known"
        ]
        if model.strays.strays:
            lines.append(
                f"{task.name}: so far {model.strays.told(UNUSABLE)}; they are not kept and asked again next time"
            )
        if self.budget.refused:
            lines.append(
                f"{task.name}: {self.budget.refused} more calls were wanted; mining.calls allows {self.budget.calls}"
            )
        return lines


def meaning_parts(table: FieldTable, labels: NDArray[np.int64]) -> SmallParts:
    """The parts of the encoder; the lexical proposer alone where there are no sentence vectors."""
    vectors = table.sentence_vectors
    if vectors is None:
        return SmallParts()
    return SmallParts(MeaningProposer(vectors, table, labels), MeaningValidator(vectors))


def small_parts(project: Project, task: Task, table: FieldTable, labels: NDArray[np.int64]) -> SmallParts:
    """The parts of the small model, with one budget of calls; the lexical proposer alone for `small: lexical`, the
    encoder's for `small: meaning`."""
    config = project.config
    if config.small == MeaningProposer.name:
        return meaning_parts(table, labels)
    model = project.small
    if model is None:
        return SmallParts()
    budget = CallBudget(config.mining.calls)
    return SmallParts(
        SmallProposer(model, model_name(config.small), table, labels, config.data.images, budget),
        SmallValidator(model, budget),
        SmallAdviser(model, model_name(config.small), table, config.data.images, budget),
        lambda rules: unseen_synonyms(model, task, rules, table, budget),
        budget,
    )
