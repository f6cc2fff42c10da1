"""Terms that the small model writes for a label: those that its samples hold become candidate conditions."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable, SampleFields
from kdsl.label_matrix import has_label
from kdsl.sample import Task
from kdsl.small.examples import shown_sample
from kdsl.small.synonyms import SEPARATORS, Meant, Occurrences, is_term, write_synonyms
from kdsl.small.wording import listed, wording_of
from kdsl.text import normalise
from kdsl.vlm.conversation import Conversation, Instruction, Piece, ask
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.usage import CallBudget

WANTED = 8
"""Terms a label."""
SHOWN = 3
"""Samples of the label that are shown."""
VARIED = 3
"""Of a label's terms, how many are asked for synonyms."""


@dataclass
class WrittenTerms:
    """What the model wrote, over all labels of a task; terms are normalised, each once."""

    grounded: list[str] = field(default_factory=list)
    """Terms that samples of the label hold."""
    synonyms: list[str] = field(default_factory=list)
    """Synonyms of these that any training sample holds."""
    dropped: int = 0
    """Terms that no sample of the label holds, or that are none."""


def write_terms(
    model: VisionLanguageModel,
    task: Task,
    table: FieldTable,
    labels: NDArray[np.int64],
    images: Path | None,
    budget: CallBudget,
) -> WrittenTerms:
    """Ask for terms of every label that has samples, and for synonyms of the first; what data do not hold is dropped.

    `labels` [n_samples] index the task's labels; `images` is the folder that image names are relative to.
    """
    present = [index for index in range(len(task.labels)) if has_label(labels, index).any()]
    asked = present[: budget.take(len(present))]
    rows = {index: np.flatnonzero(has_label(labels, index)).tolist() for index in asked}
    conversations = [_request(task, index, [table.rows[row] for row in rows[index]], images) for index in asked]
    written = WrittenTerms()
    varied: list[Meant] = []
    for index, answer in zip(asked, model.generate(conversations, max_new_tokens=12 * WANTED), strict=True):
        terms = dict.fromkeys(normalise(line) for line in listed(answer.text, SEPARATORS))
        held = Occurrences(table, rows[index])
        grounded = [term for term in terms if is_term(term) and term in held]
        written.dropped += len(terms) - len(grounded)
        written.grounded += [term for term in grounded if term not in written.grounded]
        varied += [(index, term) for term in grounded[:VARIED]]
    known = Occurrences(table)
    for synonyms in write_synonyms(model, task, varied, budget).values():
        new = (term for term in synonyms if term in known)
        written.synonyms += [term for term in new if term not in (*written.grounded, *written.synonyms)]
    return written


def _request(task: Task, label: int, rows: list[SampleFields], images: Path | None) -> Conversation:
    wording = wording_of(task)
    pieces: list[Piece] = []
    for position in dict.fromkeys(np.linspace(0, len(rows) - 1, SHOWN).astype(int).tolist()):
        pieces += [wording.positive, *shown_sample(rows[position], images)]
    return ask(*pieces, Instruction(wording.write_terms.format(label=wording.label(task.labels[label]), n=WANTED)))
