"""The small model inside the search: told a partial rule with right and wrong hits, it says what tells them apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kdsl.bitmaps import Flags, unpack
from kdsl.fields.table import FieldTable
from kdsl.mining.proposer import Advice, Partial
from kdsl.mining.vocabulary import mined_fields
from kdsl.rules.condition import Condition
from kdsl.rules.matcher import Matcher
from kdsl.sample import Task
from kdsl.small.candidates import MOST_CANDIDATES, spoken
from kdsl.small.examples import shown_sample
from kdsl.small.synonyms import SEPARATORS, is_term
from kdsl.small.wording import Wording, listed, wording_of
from kdsl.text import normalise
from kdsl.vlm.conversation import Instruction, Piece, ask
from kdsl.vlm.model import VisionLanguageModel, probabilities
from kdsl.vlm.usage import CallBudget

SHOWN = 3
"""Right hits that are shown, and wrong ones."""
WANTED = 4
"""Terms that it may name at a node."""
LEAST_HITS = 2
"""Right hits that a named term must stand in."""
_SCORED_CALLS = 2


class SmallAdviser:
    """Implements `NodeAdviser` with a vision-language model, in three calls a node: two to score the candidates, with
    the examples and without, and one for terms."""

    local = True

    def __init__(
        self, model: VisionLanguageModel, name: str, table: FieldTable, images: Path | None, budget: CallBudget
    ) -> None:
        """`images` is the folder that image names are relative to."""
        self.name = name
        self._model = model
        self._table = table
        self._images = images
        self._budget = budget

    def within(self, budget: CallBudget) -> "SmallAdviser":
        """See `NodeAdviser.within`."""
        return SmallAdviser(self._model, self.name, self._table, self._images, budget)

    def advise(self, task: Task, partial: Partial) -> Advice | None:
        """How much likelier than in general the model names each condition or exception, and terms of the right hits.

        Half of those asked about are exceptions, as far as there are any.
        """
        wording = wording_of(task)
        asked = _asked(wording, partial.candidates)
        if len(asked) < 2 or not self._budget.take_all(_SCORED_CALLS):
            return None
        shown = self._shown(wording, partial)
        label = wording.label(task.labels[partial.label])
        rule = wording.rule(partial.rule)
        request = ask(*shown, Instruction(wording.tell_apart.format(rule=rule, label=label)))
        scores = self._model.score([request, ask(Instruction(wording.choose_any))], list(asked))
        preferred = np.zeros(len(partial.candidates))
        if scores.answered.all():
            there, anyway = scores.log_probabilities
            preferred[list(asked.values())] = probabilities((there - anyway)[None])[0]
        named: tuple[tuple[Condition, Flags], ...] = ()
        if self._budget.take_all(1):
            write = wording.write_terms_apart.format(rule=rule, label=label, n=WANTED)
            [answer] = self._model.generate([ask(*shown, Instruction(write))], max_new_tokens=12 * WANTED)
            terms = dict.fromkeys(normalise(line) for line in listed(answer.text, SEPARATORS))
            named = self._grounded([term for term in terms if is_term(term)][:WANTED], partial)
        return Advice(preferred, named) if preferred.any() or named else None

    def _shown(self, wording: Wording, partial: Partial) -> list[Piece]:
        pieces: list[Piece] = []
        for mark, hits in ((wording.negative, partial.wrong), (wording.positive, partial.right)):
            for position in dict.fromkeys(np.linspace(0, len(hits) - 1, SHOWN).astype(int).tolist()):
                pieces += [mark, *shown_sample(self._table.rows[hits[position]], self._images)]
        return pieces

    def _grounded(self, terms: Sequence[str], partial: Partial) -> tuple[tuple[Condition, Flags], ...]:
        """The terms that right hits hold, each in the field where most of them do."""
        named: list[tuple[Condition, Flags]] = []
        if not terms:
            return ()
        matcher = Matcher(terms)
        fields = mined_fields(self._table)
        flags = np.stack([unpack(matcher.bitmaps(self._table.texts(field)), len(self._table)) for field in fields])
        held = flags[:, :, partial.right].sum(axis=2)
        for index, term in enumerate(terms):
            best = int(held[:, index].argmax())
            if held[best, index] >= LEAST_HITS:
                named.append((Condition(field=fields[best], terms=(term,)), flags[best, index]))
        return tuple(named)


def _asked(wording: Wording, candidates: Sequence[Condition]) -> dict[str, int]:
    """What the model may answer → index of the candidate: the first conditions and exceptions that say other words."""
    plain: dict[str, int] = {}
    exceptions: dict[str, int] = {}
    for index, condition in enumerate(candidates):
        words = spoken(condition)
        if words is not None and condition.negated:
            exceptions.setdefault(wording.unless.format(words), index)
        elif words is not None:
            plain.setdefault(words, index)
    n_plain = max(MOST_CANDIDATES // 2, MOST_CANDIDATES - len(exceptions))
    kept = [*list(plain.items())[:n_plain]]
    return dict(kept + list(exceptions.items())[: MOST_CANDIDATES - len(kept)])
