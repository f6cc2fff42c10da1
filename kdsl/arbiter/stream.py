"""Predictions for a stream of samples, each on disk as soon as its batch is done, so that work can be resumed."""

import json
import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.arbiter.prepared import Prepare, prepared
from kdsl.arbiter.state import PredictorState, changes
from kdsl.errors import KdslError
from kdsl.files import is_there, write_atomically
from kdsl.json_file import append_jsonl, read_jsonl
from kdsl.locks import claimed, held
from kdsl.sample import Sample, SampleKey

_log = logging.getLogger(__name__)

Decide = Callable[[Sequence[Sample]], list[AnyDecision]]


class Mode(StrEnum):
    """What to do where the output has predictions already."""

    resume = "resume"
    """Go on with the same input and the same rules; refuse others."""
    append = "append"
    """Add those that are missing, and leave the others as they are."""
    again = "again"
    """Predict everything anew, and replace the output once that is done."""


@dataclass(frozen=True)
class Source:
    """What the predictions in a file were made of; kept beside it, in `<output>.meta.json`."""

    input: str
    """Hash of the input's bytes, the last time that predicting began."""
    states: tuple[PredictorState, ...]
    """Oldest first; several only after `Mode.append`."""


@dataclass
class StreamOutcome:
    """How many predictions were made now and before."""

    predicted: int = 0
    predicted_before: int = 0


def predict_stream(
    samples: Iterator[Sample],
    decide: Decide,
    output: Path,
    input: str,
    state: PredictorState,
    batch: int,
    mode: Mode = Mode.resume,
    prepare: Prepare | None = None,
) -> StreamOutcome:
    """Write one prediction record a sample to `output`, in batches; samples that it has already are left out.

    A record has the sample's fingerprint beside what the decision says. `input` is a hash of where the samples come
    from, `state` what the decisions depend on. Raises KdslError for an output of something else, as far as `mode` does
    not allow for it, and for one that another process is writing; KeyboardInterrupt says what is done. A second sample
    with the same task and id is left out, with a counted warning. While a batch is decided, `prepare` is done with the
    next one.
    """
    first = next(samples, None)  # what is wrong with the input is said before anything is written
    if first is None:
        return StreamOutcome()
    stream = _Stream(chain([first], samples), decide, input, state, batch, prepare)
    with ExitStack() as stack:
        stack.enter_context(claimed(files=[output]))
        stack.enter_context(held(output, wait=False))  # a hard link is another name, perhaps in another folder
        return stream.replace(output) if mode is Mode.again else stream.extend(output, mode)


@dataclass
class _Stream:
    samples: Iterator[Sample]
    decide: Decide
    input: str
    state: PredictorState
    batch: int
    prepare: Prepare | None = None
    outcome: StreamOutcome = field(default_factory=StreamOutcome)

    def extend(self, output: Path, mode: Mode) -> StreamOutcome:
        """Append what is missing, where `mode` lets what is there stay."""
        with ExitStack() as stack:
            return self._extend(output, mode, stack)

    def _extend(self, output: Path, mode: Mode, stack: ExitStack) -> StreamOutcome:
        """`stack` ends what is being prepared, however this ends."""
        source = _source(output)
        # What is wrong with the first samples is said before a new output is begun.
        waiting = stack.enter_context(closing(self._groups({}))) if source is None else None
        begun = [] if waiting is None else self._decided(waiting)
        with append_jsonl(output) as append:
            done = _fingerprints(output)
            states: tuple[PredictorState, ...] = (self.state,)
            if source is not None:
                states = self._states(output, source, done, mode)
            _write_source(output, Source(self.input, states))
            waiting = waiting or stack.enter_context(closing(self._groups(done)))
            try:
                while decisions := begun or self._decided(waiting):
                    begun = []
                    append(*({**each.record(), "fingerprint": each.sample.fingerprint} for each in decisions))
                    self.outcome.predicted += len(decisions)
            except KeyboardInterrupt:
                kept = len(done) + self.outcome.predicted
                raise KeyboardInterrupt(f"{kept} predictions are in {output}; run again to go on") from None
        return self.outcome

    def _groups(self, done: Mapping[SampleKey, str]) -> Generator[list[Sample], None, None]:
        """Batches of the samples that are not done."""
        fresh = self._fresh(done)
        groups = iter(lambda: list(islice(fresh, self.batch)), [])
        yield from groups if self.prepare is None else prepared(groups, self.prepare)

    def _decided(self, waiting: Iterator[list[Sample]]) -> list[AnyDecision]:
        """The next batch; nothing where no sample is left."""
        group = next(waiting, None)
        return [] if group is None else self.decide(group)

    def replace(self, output: Path) -> StreamOutcome:
        """Predict into a file beside `output`, which an interrupted run may have begun, and put it in its place."""
        _require_ours(output)
        output = Path(os.path.realpath(output))
        anew = output.with_name(f"{output.name}.again")
        begun = _source(anew) if is_there(anew) else None
        if begun is None or begun.input != self.input or _changed(begun, self.state):
            anew.unlink(missing_ok=True)
        outcome = self.extend(anew, Mode.resume)
        with anew.open("rb") as file:
            os.fsync(file.fileno())
        # After a kill in between, the old notes beside the new predictions make the next run refuse them.
        os.replace(anew, output)
        os.replace(_source_path(anew), _source_path(output))
        return outcome

    def _states(
        self, output: Path, source: Source, done: Mapping[SampleKey, str], mode: Mode
    ) -> tuple[PredictorState, ...]:
        """What the output will be made of; KdslError where it may not be appended to."""
        changed = _changed(source, self.state)
        if mode is Mode.append:
            self._require_unchanged(output, done)
            if changed:
                _log.warning(
                    "%s: %s since predictions there were made, and these stay as they are; --again makes them anew",
                    output, ", ".join(changed),
                )  # fmt: skip
            others = [state for state in source.states if changes(state, self.state)]
            return *others, self.state
        if source.input != self.input:
            changed += self._compared(done)
        if changed:
            raise KdslError(
                f"{output}: {', '.join(changed)} since these predictions were made; predict everything anew with "
                "--again, or only what is not there yet with --append"
            )
        return source.states

    def _require_unchanged(self, output: Path, done: Mapping[SampleKey, str]) -> None:
        changed = [each.id for each in self._all_samples() if done.get(each.key, each.fingerprint) != each.fingerprint]
        if changed:
            raise KdslError(
                f"{output}: {len(changed)} samples have changed since they were predicted, the first being "
                f"{changed[0]!r}; predict everything anew with --again, or give another --output"
            )

    def _compared(self, done: Mapping[SampleKey, str]) -> list[str]:
        """How the samples differ from those predicted, in words; nothing where they are the same ones."""
        given = {sample.key: sample.fingerprint for sample in self._all_samples()}
        counts = {
            "added to": len(given.keys() - done.keys()),
            "changed in": sum(done.get(key, each) != each for key, each in given.items()),
            "removed from": len(done.keys() - given.keys()),
        }
        return [
            f"{number} {'sample was' if number == 1 else 'samples were'} {what} the input"
            for what, number in counts.items()
            if number
        ]

    def _all_samples(self) -> list[Sample]:
        """Those that are still to come, which come nevertheless."""
        samples = list(self.samples)
        self.samples = iter(samples)
        return samples

    def _fresh(self, done: Mapping[SampleKey, str]) -> Iterator[Sample]:
        for sample in without_repeats(self.samples):
            if sample.key in done:
                self.outcome.predicted_before += 1
            else:
                yield sample


def without_repeats(samples: Iterator[Sample]) -> Iterator[Sample]:
    """The first sample of each task and id; in the end a warning counts the others."""
    repeated = 0
    seen: set[SampleKey] = set()
    for sample in samples:
        if sample.key in seen:
            repeated += 1
        else:
            seen.add(sample.key)
            yield sample
    if repeated:
        _log.warning("%d samples have the id of an earlier one and were left out; give each its own id", repeated)


def _changed(source: Source, state: PredictorState) -> list[str]:
    """What has changed since the oldest predictions that would be others now."""
    return next(filter(None, (changes(before, state) for before in source.states)), [])


def _source_path(output: Path) -> Path:
    return output.with_name(f"{output.name}.meta.json")


def _source(output: Path) -> Source | None:
    """What the predictions in `output` were made of; None where there are none yet.

    Raises KdslError where `kdsl predict` did not make the file, or what it noted beside it is damaged.
    """
    from kdsl.record_file import read_record

    if not _require_ours(output):
        return None
    return read_record(Source, _source_path(output), "predict everything anew with --again, or give another --output")


def _require_ours(output: Path) -> bool:
    """Whether there are predictions; KdslError where something else is there."""
    if not is_there(output) or not output.stat().st_size:
        return False
    if not is_there(_source_path(output)):
        raise KdslError(f"{output}: was not made by KDSL; give another --output")
    return True


def _write_source(output: Path, source: Source) -> None:
    write_atomically(_source_path(output), json.dumps(asdict(source), ensure_ascii=False, indent=1) + "\n")


def _fingerprints(output: Path) -> dict[SampleKey, str]:
    """(task, id) → the sample's fingerprint, of every prediction."""
    found = {}
    for line, record in read_jsonl(output):
        task, identity, fingerprint = (record.get(key) for key in ("task", "id", "fingerprint"))
        if not (isinstance(task, str) and isinstance(identity, str) and isinstance(fingerprint, str)):
            raise KdslError(f"{output}, line {line}: not a prediction that can be added to; give another --output")
        found[task, identity] = fingerprint
    return found
