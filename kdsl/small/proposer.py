"""The small model in the search: its prior over candidate conditions, and terms that it brings in."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags, unpack
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import has_label
from kdsl.mining.proposer import BOOST, SHARE, LexicalProposer
from kdsl.mining.vocabulary import Vocabulary
from kdsl.sample import Task
from kdsl.small.candidates import grounded, spoken
from kdsl.small.examples import shown_sample, typical
from kdsl.small.terms import WrittenTerms, write_terms
from kdsl.small.wording import Wording, wording_of
from kdsl.vlm.conversation import Conversation, Instruction, Piece, ask
from kdsl.vlm.model import VisionLanguageModel, normalise_scores, probabilities
from kdsl.vlm.usage import CallBudget


class SmallProposer:
    """Implements `Proposer` with a vision-language model, asked once for each label and part of the samples."""

    def __init__(
        self,
        model: VisionLanguageModel,
        name: str,
        table: FieldTable,
        labels: NDArray[np.int64],
        images: Path | None,
        budget: CallBudget,
    ) -> None:
        """`labels` [n_samples] index the task's labels; `images` is the folder that image names are relative to."""
        self.name = name
        self._model = model
        self._table = table
        self._labels = labels
        self._images = images
        self._budget = budget
        self._lexical = LexicalProposer()
        self._flags: tuple[Vocabulary, Flags] | None = None
        self.written = WrittenTerms()
        """What came of asking for terms."""

    def terms(self, task: Task) -> Collection[str]:
        """The words that describe labels, and those that the model finds in the samples of each."""
        self.written = write_terms(self._model, task, self._table, self._labels, self._images, self._budget)
        return [*self._lexical.terms(task), *self.written.grounded, *self.written.synonyms]

    def prior(self, task: Task, label: int, vocabulary: Vocabulary, parts: Flags) -> NDArray[np.float64]:
        """Half the lexical prior, half 1 to `BOOST` by how much likelier than in general the model names a condition.

        Only conditions that the samples of a part speak for are asked about. A label without samples, or beyond the
        budget, keeps the lexical prior, and so does a part to which the model names no condition. Source of the
        comparison: Holtzman et al. 2021, "Surface form competition".
        """
        lexical = np.repeat(self._lexical.prior(task, label, vocabulary), len(parts), axis=0)
        flags = self._unpacked(vocabulary)
        positive = has_label(self._labels, label)
        chosen = [grounded(vocabulary, flags, positive, part) for part in parts]
        words = list(dict.fromkeys(spoken(vocabulary.conditions[i]) or "" for indices in chosen for i in indices))
        if len(words) < 2 or not self._budget.take_all(len(parts) + 1):
            return lexical
        wording = wording_of(task)
        request = Instruction(wording.choose.format(label=wording.label(task.labels[label])))
        conversations: list[Conversation] = [ask(Instruction(wording.choose_any))]
        for indices, part in zip(chosen, parts, strict=True):
            shown = self._shown(wording, *typical(flags[indices], positive, part))
            conversations.append(ask(*shown, request))
        answers = self._model.score(conversations, words)
        scores = normalise_scores(answers)
        preferred = probabilities(scores[1:] - scores[0])
        # Conditions that a part does not speak for stand in `words` because another part does.
        asked = np.array([[word in _words(vocabulary, indices) for word in words] for indices in chosen])
        preferred = np.where(asked, preferred, 0.0)
        share = preferred / np.maximum(preferred.max(axis=1, keepdims=True), 1e-300)
        column = {word: index for index, word in enumerate(words)}
        columns = np.array([column.get(spoken(c) or "", -1) for c in vocabulary.conditions])
        scored = np.where(columns >= 0, share[:, columns], 0.0)
        shared = (1 - SHARE) * lexical + SHARE * (1 + (BOOST - 1) * scored)
        return np.where(answers.answered[1:, None], shared, lexical)

    def _shown(self, wording: Wording, positives: Sequence[int], negatives: Sequence[int]) -> list[Piece]:
        pieces: list[Piece] = []
        for mark, rows in ((wording.negative, negatives), (wording.positive, positives)):
            for row in rows:
                pieces += [mark, *shown_sample(self._table.rows[row], self._images)]
        return pieces

    def _unpacked(self, vocabulary: Vocabulary) -> Flags:
        if self._flags is None or self._flags[0] is not vocabulary:
            self._flags = vocabulary, unpack(vocabulary.coverage, vocabulary.n_samples)
        return self._flags[1]


def _words(vocabulary: Vocabulary, indices: Sequence[int]) -> set[str | None]:
    return {spoken(vocabulary.conditions[index]) for index in indices}
