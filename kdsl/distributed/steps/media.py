"""What steps on images and sounds share: each is looked at once, though many samples show it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kdsl.distributed.step import Problem, Worked
from kdsl.sample import Sample

Named = tuple[str, str]
"""The task of a sample, and the name of an image or a sound of it."""
Look = Callable[[Sequence[Named]], Iterator[tuple[Named, "dict[str, Any] | str"]]]
"""What is found out about each, as its record, or what is wrong with it."""

_REMEMBERED = 10_000
"""Images or sounds of which a process knows what it found."""


class MediaWorker:
    """A `Worker` that looks at what samples show or let hear."""

    def __init__(
        self, names: Callable[[Sample], Sequence[str]], look: Look, close: Callable[[], None] = lambda: None
    ) -> None:
        self._names, self._look, self.close = names, look, close
        self._found: dict[Named, dict[str, Any] | str] = {}
        self._told: set[Named] = set()
        """What stands in the result of this shard."""

    def begin(self) -> None:
        """A shard begins."""
        self._told.clear()

    def end(self) -> None:
        """A shard ends: what could not be looked at is told as its problems."""

    def work(self, samples: Sequence[Sample]) -> Worked:
        """See `Worker.work`; a problem is that of the first sample with the image or sound."""
        wanted: dict[Named, Sample] = {}
        for sample in samples:
            for name in self._names(sample):
                if (sample.task, name) not in self._told:
                    wanted.setdefault((sample.task, name), sample)
        found = {named: self._found[named] for named in wanted if named in self._found}
        found |= self._look([named for named in wanted if named not in found])
        worked = Worked()
        for named, sample in wanted.items():
            if named not in found:  # nothing is asked about it
                continue
            if isinstance(record := found[named], str):
                worked.problems.append(Problem(sample.id, sample.task, f"{named[1]}: {record}"))
            else:
                worked.records.append(record)
        self._told.update(wanted)
        self._remember(found)
        return worked

    def _remember(self, found: dict[Named, dict[str, Any] | str]) -> None:
        self._found |= found
        for named in list(self._found)[: max(0, len(self._found) - _REMEMBERED)]:
            del self._found[named]
