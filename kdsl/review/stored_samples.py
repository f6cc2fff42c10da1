"""All labelled samples of a task in columns on disk (Arrow), mapped into memory as they are asked for.

A page about a million samples holds some of them as objects, see `kdsl.review.live.MOST_SHOWN`; the others lie here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from kdsl.data.writers import plain_record
from kdsl.errors import KdslError
from kdsl.fields import NUMBER_FIELDS, TEXT_FIELDS
from kdsl.fields.table import PIECE, FieldTable
from kdsl.review.finder import Columns
from kdsl.review.text_column import Piece, TextColumn
from kdsl.sample import Sample, Turn

if TYPE_CHECKING:
    import pyarrow

_FILE = "samples.arrow"

Shared = Mapping[str, str]
"""Text field → the field whose texts are its own in a piece of the samples: on bare texts all are one."""


@contextmanager
def samples_written(folder: Path) -> "Iterator[SamplesWriter]":
    """Writes samples into a folder that is there; KdslError where they find no room in it."""
    import pyarrow

    try:
        with pyarrow.OSFile(str(folder / _FILE), "wb") as file, pyarrow.ipc.new_file(file, _schema()) as arrow:
            yield SamplesWriter(arrow)
    except OSError as error:
        raise KdslError(
            f"{folder}: the columns of all samples cannot be written ({error.strerror or error}); until they can, the "
            "page counts on some of the samples"
        ) from error


class SamplesWriter:
    def __init__(self, arrow: "pyarrow.RecordBatchFileWriter") -> None:
        self._arrow = arrow
        self.shared: list[Shared] = []
        """Of the pieces so far."""

    def write(self, table: FieldTable) -> None:
        """The next piece: `PIECE` samples, or fewer in the last one."""
        import pyarrow as pa

        samples = [row.sample for row in table.rows]
        own: dict[str, list[str]] = {}
        shared: dict[str, str] = {}
        columns: list[Any] = [
            pa.array([sample.id for sample in samples], pa.string()),
            pa.array([json.dumps(plain_record(sample), ensure_ascii=False) for sample in samples], pa.string()),
        ]
        for field in TEXT_FIELDS:
            texts = table.texts(field)
            same = next((name for name, known in own.items() if known == texts), field)
            shared[field] = same
            if same != field:
                columns.append(pa.nulls(len(texts), pa.list_(pa.uint16())))
                continue
            own[field] = texts
            piece = Piece.of(texts)
            columns.append(pa.ListArray.from_arrays(pa.array(piece.starts, pa.int32()), pa.array(piece.units)))
        for field in NUMBER_FIELDS:
            numbers = [np.nan if number is None else number for number in table.numbers(field)]
            columns.append(pa.array(numbers, pa.float64(), from_pandas=False))
        self._arrow.write_batch(pa.RecordBatch.from_arrays(columns, schema=_schema()))
        self.shared.append(shared)


class StoredSamples(Sequence[Sample]):
    """The samples that were written, in their order; each is made when it is asked for."""

    def __init__(self, folder: Path, shared: Sequence[Shared]) -> None:
        """The folder may be taken away from then on: what is mapped stays."""
        import pyarrow as pa

        reader = pa.ipc.open_file(pa.memory_map(str(folder / _FILE)))
        self._pieces = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._ids = pa.chunked_array([piece.column("id") for piece in self._pieces], pa.string())
        self._shared = shared

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> list[Sample]: ...
    def __getitem__(self, at: int | slice) -> Sample | list[Sample]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        piece, row = divmod(range(len(self))[at], PIECE)
        return _sample(json.loads(self._pieces[piece].column("record")[row].as_py()))

    def place(self, id: str) -> int | None:
        """Where the sample with that id stands; None where there is none."""
        import pyarrow.compute

        at = int(pyarrow.compute.index(self._ids, id).as_py())
        return at if at >= 0 else None

    @cached_property
    def columns(self) -> Columns:
        return Columns(
            {
                field: TextColumn(
                    [
                        _piece(piece.column(shared[field]))
                        for piece, shared in zip(self._pieces, self._shared, strict=True)
                    ]
                )
                for field in TEXT_FIELDS
            },
            {
                field: np.concatenate([np.zeros(0), *(piece.column(field).to_numpy() for piece in self._pieces)])
                for field in NUMBER_FIELDS
            },
        )


def _piece(column: Any) -> Piece:
    return Piece(column.values.to_numpy(), column.offsets.to_numpy())


def _schema() -> "pyarrow.Schema":
    import pyarrow as pa

    kinds = {"id": pa.string(), "record": pa.string()}
    kinds |= {field: pa.list_(pa.uint16()) for field in TEXT_FIELDS}
    return pa.schema(kinds | {field: pa.float64() for field in NUMBER_FIELDS})


def _sample(record: Mapping[str, Any]) -> Sample:
    """The sample that `plain_record` wrote."""
    turns = tuple(
        Turn(turn["role"], turn["text"], tuple(turn.get("images", ())), tuple(turn.get("audio", ())))
        for turn in record["turns"]
    )
    label = record["label"]
    several = isinstance(label, list)
    return Sample(
        record["id"], record["task"], turns, tuple(record["images"]), None if several else label,
        record.get("copy_of"), tuple(label) if several else None, tuple(record.get("audio", ())),
    )  # fmt: skip
