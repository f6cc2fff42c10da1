"""Predictions for a stream of samples, each on disk as soon as its batch is done, so that work can be resumed."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from kdsl.arbiter.decision import Decision
from kdsl.errors import KdslError
from kdsl.files import append_jsonl, is_there, read_json, read_jsonl, write_atomically
from kdsl.locks import claimed, held
from kdsl.sample import Sample

_log = logging.getLogger(__name__)

Decide = Callable[[Sequence[Sample]], list[Decision]]


@dataclass
class StreamOutcome:
    """How many predictions were made now and before."""

    predicted: int = 0
    predicted_before: int = 0


def predict_stream(
    samples: Iterator[Sample], decide: Decide, output: Path, source: dict[str, str], batch: int
) -> StreamOutcome:
    """Append one prediction record a sample to `output`, in batches; samples that it has already are left out.

    `source` says what the predictions depend on: keys "checkpoint" and "input", values a hash; it is kept in
    `<output>.meta.json`. Raises KdslError for an output from another source and for one that another process is
    writing, and KeyboardInterrupt says what is done. A second sample with the same task and id is left out, with a
    counted warning.
    """
    first = next(samples, None)  # what is wrong with the input is said before anything is written
    if first is None:
        return StreamOutcome()
    outcome = StreamOutcome()
    repeated = 0
    with ExitStack() as stack:
        stack.enter_context(claimed(files=[output]))
        stack.enter_context(held(output, wait=False))  # a hard link is another name, perhaps in another folder
        _check_source(output, source)
        append = stack.enter_context(append_jsonl(output))
        done = _ids(output)
        seen: set[tuple[str, str]] = set()

        def fresh() -> Iterator[Sample]:
            nonlocal repeated
            for sample in chain([first], samples):
                key = sample.task, sample.id
                if key in seen:
                    repeated += 1
                elif key in done:
                    outcome.predicted_before += 1
                else:
                    yield sample
                seen.add(key)

        try:
            waiting = fresh()
            while group := list(islice(waiting, batch)):
                for decision in decide(group):
                    append(decision.record())
                    outcome.predicted += 1
        except KeyboardInterrupt:
            kept = len(done) + outcome.predicted
            raise KeyboardInterrupt(f"{kept} predictions are in {output}; run again to go on") from None
    if repeated:
        _log.warning("%d samples have the id of an earlier one and were left out; give each its own id", repeated)
    return outcome


def _check_source(output: Path, source: dict[str, str]) -> None:
    """Refuse to append to predictions made by something else; note the source of new ones."""
    meta = output.with_name(f"{output.name}.meta.json")
    if is_there(output) and output.stat().st_size:
        other = "was not made by KDSL" if not is_there(meta) else None
        if other is None:
            known = read_json(meta)
            changed = [key for key in source if not isinstance(known, dict) or known.get(key) != source[key]]
            other = f"was made with another {' and '.join(changed)}" if changed else None
        if other is not None:
            raise KdslError(f"{output}: {other}; give another --output, or delete it to predict everything again")
    write_atomically(meta, json.dumps(source, indent=1) + "\n")


def _ids(output: Path) -> set[tuple[str, str]]:
    """(task, id) of every prediction."""
    found = set()
    for line, record in read_jsonl(output):
        task, identity = record.get("task"), record.get("id")
        if not isinstance(task, str) or not isinstance(identity, str):
            raise KdslError(f"{output}, line {line}: not a prediction; give another --output")
        found.add((task, identity))
    return found
