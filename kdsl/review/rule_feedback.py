"""What feedback to the service says about rules: which of those that held on a sample have another label."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.bitmaps import contains
from kdsl.data.feedback import FeedbackLog, LastWord, answer_words
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.review.decisions import written
from kdsl.review.sample_view import ShownSample, show_sample
from kdsl.review.task_index import Overview, TaskIndex
from kdsl.rules.engine import Engine
from kdsl.rules.wording import Language

if TYPE_CHECKING:
    from kdsl.review.site import Site
    from kdsl.review.store import StoredRule

SHOWN = 20
"""Samples on the page of a rule, at most."""


@dataclass(frozen=True)
class RuleFeedback:
    """What people say about samples that a rule held on when they were decided, and that it still holds on."""

    against: tuple[LastWord, ...] = ()
    """Where they say another label than the rule; the latest first."""
    agreeing: int = 0
    """About how many samples they say the same."""

    @property
    def since(self) -> datetime:
        """When the first of those that speak against it was given."""
        return min(word.event.time for word in self.against)


class ServiceFeedback:
    """The feedback of a project. Safe for threads. It stays while the site is read anew."""

    def __init__(self, path: Path) -> None:
        """`path` of the log."""
        self._log = FeedbackLog(path)
        self._mutex = threading.Lock()
        self._made: dict[str, tuple[list[LastWord], Overview, Mapping[str, RuleFeedback]]] = {}

    @property
    def there(self) -> bool:
        """Whether somebody gave feedback."""
        return self._log.path.is_symlink() or self._log.path.is_file()

    def words(self, task: str) -> list[LastWord]:
        """The last word about each sample of a task, the latest first; KdslError where the log cannot be read."""
        return _of_task(self._log.words(), task)

    def about_rules(self, site: "Site", task: str) -> Mapping[str, RuleFeedback]:
        """By the ids of the rules that feedback says something about; errors of `words`."""
        with self._mutex:
            words, overview = self._log.words(), site.overview(task)
            known = self._made.get(task)
            if known is None or known[0] is not words or known[1] is not overview:
                found = _about_rules(_of_task(words, task), overview, site.indexes[task])
                known = self._made[task] = words, overview, found
            return known[2]


def _of_task(words: Iterable[LastWord], task: str) -> list[LastWord]:
    return sorted((word for word in words if word.event.task == task), key=lambda word: word.event.time, reverse=True)


def _about_rules(words: Iterable[LastWord], overview: Overview, index: TaskIndex) -> dict[str, RuleFeedback]:
    against: dict[str, list[LastWord]] = defaultdict(list)
    agreeing: Counter[str] = Counter()
    for word in words:
        for id in dict.fromkeys(word.event.rules):
            rule = overview.position.get(id)
            if rule is None or not _holds(overview, rule, word, index):
                continue
            if overview.rules[rule].rule.label in (word.sample.given_labels or ()):
                agreeing[id] += 1
            else:
                against[id].append(word)
    return {id: RuleFeedback(tuple(against[id]), agreeing[id]) for id in {**against, **agreeing}}


def _holds(overview: Overview, rule: int, word: LastWord, index: TaskIndex) -> bool:
    """Whether the rule holds on the sample as it is now: who has edited it has heard what was said before.

    It held when the sample was decided, and where that cannot be known better it does.
    """
    place = place_of(word, index)
    known, sample = index.table.sidecars, word.sample
    read = known.ocr.keys() >= set(sample.images) and known.transcripts.keys() >= set(sample.audio)
    return place is None or not read or bool(contains(overview.bits[rule], place))


def place_of(word: LastWord, index: TaskIndex) -> int | None:
    """Where the sample stands among the training samples; None where it is none of them."""
    for sample in (word.sample, word.renamed.sample):
        place = index.training.place(sample.id, sample.fingerprint)
        if place is not None:
            return place
    return None


def feedback_values(site: "Site", stored: "StoredRule", language: Language) -> dict[str, Any]:
    """The values of the template rule.html that are about feedback."""
    said, problem = RuleFeedback(), ""
    try:
        said = site.service.feedback.about_rules(site, stored.task).get(stored.rule.id, said)
    except KdslError as error:
        problem = error.in_commands()
    shown = _shown(site, stored, said.against[:SHOWN], language)
    return {"said": said, "said_against": shown, "feedback_problem": problem, "answer_words": answer_words}


def _shown(
    site: "Site", stored: "StoredRule", words: Sequence[LastWord], language: Language
) -> list[tuple[LastWord, ShownSample, bool]]:
    """Each with its sample, in which the evidence of the rule is marked, and whether the sample has a page."""
    index = site.indexes[stored.task]
    places = [place_of(word, index) for word in words]
    samples = [
        word.sample if place is None else index.samples[place] for word, place in zip(words, places, strict=True)
    ]
    hits = Engine([written("", stored.task, "", stored.rule.conditions)]).hits(FieldTable(samples, site.sidecars))
    found = []
    for word, place, sample, of_sample in zip(words, places, samples, hits, strict=True):
        evidence = [each for hit in of_sample for each in hit.evidence]
        at = -1 if place is None else place
        shown = show_sample(at, sample, site.sidecars, site.media, evidence, language)
        found.append((word, shown, place is not None))
    return found
