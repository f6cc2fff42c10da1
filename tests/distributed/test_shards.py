"""Which files are shards, and what their rows hold: what makes no sense is told by row, or refuses the shard."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kdsl.data.forms import AS_IT_IS
from kdsl.data.notes import Notes
from kdsl.distributed.shards import ShardError, find_shards, shard_samples
from kdsl.distributed.step import Problem
from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError
from kdsl.sample import Label, Task

TASK = Task("shop", (Label("refund"), Label("size")))


def put(folder: Path, *names: str) -> Storage:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'{"id": "1", "text": "x"}\n')
    return Storage(str(folder))


def parquet(path: Path, *rows: dict) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def rows(path: Path) -> list[str | Problem]:
    """The ids of samples, and problems."""
    found = shard_samples(path.name, path, [TASK], AS_IT_IS, Notes())
    return [each if isinstance(each, Problem) else each.id for each in found]


def test_shards_are_the_parquet_and_json_lines_below_by_name(tmp_path):
    storage = put(tmp_path, "b.jsonl", "a/z.jsonl", "README.md", "_run.json", ".a.jsonl", "_old/c.jsonl", "c.csv")
    assert [(shard.name, shard.result) for shard in find_shards(storage)] == [
        ("a/z.jsonl", "a/z.parquet"),
        ("b.jsonl", "b.parquet"),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no such folder; name one with shards that end in .parquet or .jsonl"),
        (["a.csv"], "holds no shards; these are files that end in .parquet or .jsonl"),
        (["a.jsonl", "a.parquet"], "the results of a.jsonl and a.parquet would have one name; rename one of them"),
        (
            [f"{'x' * 248}.jsonl"],
            "the name of its result would have 256 bytes, and 255 are possible; rename it",
        ),
    ],
)
def test_what_cannot_be_worked_on_is_told_before_anything_begins(tmp_path, names, message):
    storage = put(tmp_path / "in", *names)
    with pytest.raises(KdslError) as error:
        find_shards(storage)
    assert str(error.value).startswith(f"{storage.address}")
    assert str(error.value).endswith(message)


def test_a_single_file_is_no_folder_of_shards(tmp_path):
    put(tmp_path, "a.jsonl")
    with pytest.raises(KdslError, match=r"a\.jsonl: is a file; name the folder of shards that it lies in"):
        find_shards(Storage(str(tmp_path / "a.jsonl")))


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    os.makedirs(tmp_path / "in")
    with open(os.fsencode(tmp_path / "in") + b"/\xff.jsonl", "wb"):
        pass
    with pytest.raises(KdslError, match=r"in/\\udcff\.jsonl': the name is not UTF-8; rename the shard"):
        find_shards(Storage(str(tmp_path / "in")))


def test_shards_of_parquet_have_one_schema(tmp_path):
    parquet(tmp_path / "a.parquet", {"id": "1", "text": "x"})
    parquet(tmp_path / "b.parquet", {"text": "x", "id": "1"})
    find_shards(Storage(str(tmp_path)))
    parquet(tmp_path / "c.parquet", {"id": "1", "price": 3})
    with pytest.raises(
        KdslError, match=r"c\.parquet: has the columns id, price, but a\.parquet has id, text; give shards of one"
    ):
        find_shards(Storage(str(tmp_path)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20), max_size=4))
def test_any_name_keeps_its_shard_apart(tmp_path_factory, stems):
    stems = [stem for stem in stems if not stem.startswith((".", "_"))]
    assume(stems)
    storage = put(tmp_path_factory.mktemp("names"), *(f"{stem}.jsonl" for stem in stems))
    shards = find_shards(storage)
    assert {shard.name for shard in shards} == {f"{stem}.jsonl" for stem in stems}
    assert len({shard.result for shard in shards}) == len(shards)
    assert all(shard.result == f"{shard.name[: -len('.jsonl')]}.parquet" for shard in shards)
    assert all(storage.facts(shard.name).stamp == shard.stamp for shard in shards)


def test_rows_that_make_no_sense_are_problems_in_their_place(tmp_path):
    path = tmp_path / "a, b.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "1", "text": "x"}\n\n{"id": "2", "te\n'
        b'[1]\n{"id": "3", "text": 5}\n{"id": "\xff"}\n{"id": "4", "text": "y", "label": NaN}\n'
    )
    assert rows(path) == [
        "1",
        Problem("line 3", "", "line 3: not valid JSON (Unterminated string starting at)"),
        Problem("line 4", "", 'line 4: [1] is not an object like {"id": "1", "text": "…"}'),
        Problem("3", "", "line 5: text is 5; it must be text in quotes"),
        Problem("line 6", "", "line 6: not UTF-8; save the shard as UTF-8"),
        "4",
    ]


def test_of_two_samples_with_one_id_the_first_counts(tmp_path):
    path = parquet(tmp_path / "a.parquet", *({"id": each, "text": "x"} for each in "aba"))
    told = "the shard has a sample of this task and id before; give each its own"
    assert rows(path) == ["a", "b", Problem("a", "shop", told)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_shard_without_rows_has_a_result_without_rows(tmp_path, name):
    path = tmp_path / name
    if name == "a.jsonl":
        path.write_bytes(b"\n")
    else:
        pq.write_table(pa.schema({"id": pa.string(), "text": pa.string()}).empty_table(), path)
    assert rows(path) == []


def test_an_upload_that_never_began_is_no_parquet(tmp_path):
    (tmp_path / "a.parquet").touch()
    with pytest.raises(ShardError, match=r"a\.parquet: is empty, and even Parquet without a row is not; write it"):
        rows(tmp_path / "a.parquet")


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_damaged_parquet_is_refused_as_a_whole(tmp_path, keep):
    path = parquet(tmp_path / "a.parquet", *({"id": str(each), "text": "x" * 50} for each in range(50)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ShardError, match=r"a\.parquet: not a Parquet or Arrow file that can be read"):
        rows(path)


def test_a_shard_of_something_else_is_refused_with_its_columns(tmp_path):
    path = parquet(tmp_path / "a.parquet", *({"price": each, "count": 2} for each in range(3)))
    with pytest.raises(ShardError, match=r"^a\.parquet.*there is 'price', 'count': name them in data\.columns"):
        rows(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_shard_that_went_meanwhile_is_told(tmp_path, name):
    with pytest.raises(ShardError, match=rf"^{name}: no such file$"):
        rows(tmp_path / name)


def test_a_shard_without_rights_is_told(tmp_path, monkeypatch):
    put(tmp_path, "a.jsonl")

    def refused(*args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(ShardError, match=r"^a\.jsonl: cannot be read \(Permission denied\)$"):
        rows(tmp_path / "a.jsonl")
