"""A step over all shards of a folder: what is written, what goes on, and what is refused before anything begins."""

import errno
import io
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_steps import Length
from small_shop import write, write_project

import kdsl.distributed.lease as lease
from kdsl.distributed.local import work_locally
from kdsl.distributed.results import Results, ShardDone
from kdsl.distributed.running import Outcome, in_processes, run_over_shards
from kdsl.distributed.shards import Shard
from kdsl.distributed.storage import Storage
from kdsl.distributed.work import Job
from kdsl.errors import KdslError
from kdsl.project.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.open(write_project(tmp_path_factory.mktemp("running")))


def shard(path: Path, *texts: str) -> Path:
    """One with a sample for each text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": f"{path.stem}-{number}", "text": text} for number, text in enumerate(texts)]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    return write(path, rows)


def run(project: Project, folder: Path, workers: int = 1, again: bool = False, step: Length | None = None) -> Outcome:
    return run_over_shards(
        project, step or Length(), str(folder / "in"), str(folder / "out"), in_processes(workers), again
    )


def lengths(folder: Path) -> dict[str, list[tuple[str, int]]]:
    return {
        path.relative_to(folder).as_posix(): [(row["id"], row["length"]) for row in pq.read_table(path).to_pylist()]
        for path in sorted(folder.rglob("*.parquet"))
        if "_errors" not in path.parts
    }


def errors(folder: Path) -> list[dict[str, str]]:
    found = Results(Storage(str(folder))).errors()
    return [] if found is None else found.to_pylist()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_shard_becomes_a_parquet_file_of_its_name(project, tmp_path, workers):
    shard(tmp_path / "in" / "a.jsonl", "aa", "bad", "b", "cccc", "d")
    shard(tmp_path / "in" / "day 2" / "b.parquet", "zzz")
    outcome = run(project, tmp_path, workers)
    assert lengths(tmp_path / "out") == {
        "a.parquet": [("a-0", 2), ("a-2", 1), ("a-3", 4), ("a-4", 1)],
        "day 2/b.parquet": [("b-0", 3)],
    }
    assert errors(tmp_path / "out") == [
        {"shard": "a.jsonl", "id": "a-1", "task": "shop", "message": "cannot be measured"}
    ]
    assert (outcome.shards, outcome.done_before, outcome.samples, outcome.problems) == (2, 0, 5, 1)
    assert json.loads((tmp_path / "out" / "_run.json").read_text("utf-8"))["finished"] is not None


def test_the_same_command_leaves_alone_what_is_done_and_counts_it(project, tmp_path):
    for name in "abc":
        shard(tmp_path / "in" / f"{name}.jsonl", name, "bad")
    run(project, tmp_path)
    (tmp_path / "out" / "b.parquet").unlink()
    before = (tmp_path / "out" / "a.parquet").stat().st_mtime_ns
    outcome = run(project, tmp_path)
    assert (outcome.done_before, outcome.samples, outcome.problems) == (2, 3, 3)
    assert (tmp_path / "out" / "a.parquet").stat().st_mtime_ns == before


def test_a_shard_that_grew_is_done_anew_and_one_that_went_loses_its_result(project, tmp_path):
    grown, gone = shard(tmp_path / "in" / "a.jsonl", "x"), shard(tmp_path / "in" / "b.jsonl", "y", "bad")
    run(project, tmp_path)
    shard(grown, "x", "yy")
    gone.unlink()
    outcome = run(project, tmp_path)
    assert (outcome.done_before, outcome.changed) == (0, 1)
    assert lengths(tmp_path / "out") == {"a.parquet": [("a-0", 1), ("a-1", 2)]}
    assert errors(tmp_path / "out") == []


def test_a_file_that_is_no_result_stays(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    run(project, tmp_path)
    mine = shard(tmp_path / "out" / "mine.parquet", "notes")
    run(project, tmp_path)
    assert mine.exists()


def test_again_makes_all_anew(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    run(project, tmp_path)
    outcome = run(project, tmp_path, again=True, step=Length(of="another"))
    assert (outcome.done_before, outcome.samples) == (0, 1)
    assert run(project, tmp_path, step=Length(of="another")).done_before == 1


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            Length(name="width"),
            r"out: holds results of `kdsl length`, not of `kdsl width`; make all anew",
        ),
        (Length(of="trained again"), r"out: holds results of a project that was another then .*; make all anew"),
    ],
)
def test_a_folder_of_another_run_is_refused(project, tmp_path, step, message):
    shard(tmp_path / "in" / "a.jsonl", "x")
    run(project, tmp_path)
    with pytest.raises(KdslError, match=message):
        run(project, tmp_path, step=step)


def test_one_input_may_be_given_in_several_ways(project, tmp_path, monkeypatch):
    shard(tmp_path / "in" / "a.jsonl", "x")
    run(project, tmp_path)
    monkeypatch.chdir(tmp_path)
    outcome = run_over_shards(project, Length(), f"file://{tmp_path}/in/", "out", in_processes(1))
    assert outcome.done_before == 1


def test_results_of_other_shards_are_refused(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    run(project, tmp_path)
    (tmp_path / "in").rename(tmp_path / "other")
    with pytest.raises(KdslError, match=r"out: holds results of the shards of .*in, not of .*other; make all anew"):
        run_over_shards(project, Length(), str(tmp_path / "other"), str(tmp_path / "out"), in_processes(1))


def test_a_folder_with_other_files_is_refused(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    shard(tmp_path / "out" / "letters.jsonl", "x")
    with pytest.raises(KdslError, match=r"out: holds files that were not made by work over shards; name a folder of"):
        run(project, tmp_path)


@pytest.mark.parametrize(("input", "output"), [("in", "in/out"), ("in", "in"), ("in/more", "in"), ("in", "in/../in")])
def test_results_lie_apart_from_shards(project, tmp_path, input, output):
    shard(tmp_path / "in" / "more" / "a.jsonl", "x")
    with pytest.raises(KdslError, match="results cannot lie in the folder of the shards, or around it"):
        run_over_shards(project, Length(), str(tmp_path / input), str(tmp_path / output), in_processes(1))
    assert sorted(os.listdir(tmp_path / "in")) == ["more"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_stops_the_whole_says_how_far_it_was(project, tmp_path, workers):
    shard(tmp_path / "in" / "a.jsonl", "x")
    shard(tmp_path / "in" / "b.jsonl", "x", "stop")
    with pytest.raises(KdslError, match=r"^the ruler is broken: get another \(\d of 2 shards are in .*out\)$"):
        run(project, tmp_path, workers)
    assert not (tmp_path / "out" / "b.parquet").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_step_that_no_process_can_do_says_why(project, tmp_path, workers):
    shard(tmp_path / "in" / "a.jsonl", "x")
    shard(tmp_path / "in" / "b.jsonl", "x")
    with pytest.raises(KdslError, match="no ruler: get one"):
        run(project, tmp_path, workers, step=Length(opens=False))


def test_a_process_that_dies_is_told_and_the_run_goes_on_later(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    bad = shard(tmp_path / "in" / "b.jsonl", "die")
    with pytest.raises(KdslError, match=r"a process that worked on a shard died, .*; run again to go on"):
        run(project, tmp_path, 2)
    shard(bad, "fine")
    assert run(project, tmp_path, 1).samples == 2


def test_processes_of_processes_end_with_them(project, tmp_path):
    for name in "ab":
        shard(tmp_path / "in" / f"{name}.jsonl", "x")
    assert run(project, tmp_path, 2, step=Length(inner=True)).samples == 2


def test_a_shard_that_cannot_be_read_stops_no_other(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    torn = shard(tmp_path / "in" / "b.parquet", "x")
    torn.write_bytes(torn.read_bytes()[:-20])
    outcome = run(project, tmp_path)
    assert outcome.samples == 1
    assert outcome.unread.keys() == {"b.parquet"}
    assert "b.parquet: not a Parquet or Arrow file that can be read" in outcome.unread["b.parquet"]
    assert json.loads((tmp_path / "out" / "_run.json").read_text("utf-8"))["finished"] is None


def test_a_shard_that_changes_while_it_is_read_has_no_result(project, tmp_path):
    written = shard(tmp_path / "in" / "a.jsonl", "x")

    def engine(job: Job, shards: Sequence[Shard]) -> Iterator[ShardDone]:
        shard(written, "x", "yy")
        return work_locally(job, shards, 1)

    outcome = run_over_shards(project, Length(), str(tmp_path / "in"), str(tmp_path / "out"), engine)
    assert outcome.unread == {"a.jsonl": "a.jsonl: was changed during the run; run again when it is whole"}
    assert lengths(tmp_path / "out") == {}


@settings(max_examples=8, deadline=None)
@given(stop=st.integers(0, 4), how=st.sampled_from([KeyboardInterrupt, KdslError, RuntimeError]))
def test_a_run_that_ends_anywhere_goes_on_to_the_same_results(project, tmp_path_factory, stop, how):
    folder = tmp_path_factory.mktemp("any")
    for name in "abcd":
        shard(folder / "in" / f"{name}.jsonl", name * 3, "bad", name)

    def engine(job: Job, shards: Sequence[Shard]) -> Iterator[ShardDone]:
        with closing(work_locally(job, shards, 1)) as found:
            for number, done in enumerate(found):
                if number == stop:
                    raise how("enough")
                yield done

    try:
        run_over_shards(project, Length(), str(folder / "in"), str(folder / "out"), engine)
    except how as error:
        if how is KeyboardInterrupt:
            assert str(error) == f"{stop} of 4 shards are in {folder / 'out'}; run again to go on"
    outcome = run(project, folder)
    assert outcome.done_before == min(stop + 1, 4)
    run_over_shards(project, Length(), str(folder / "in"), str(folder / "whole"), in_processes(1))
    assert lengths(folder / "out") == lengths(folder / "whole")
    assert errors(folder / "out") == errors(folder / "whole")


def test_half_a_character_is_told_as_an_escape(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    with (tmp_path / "in" / "a.jsonl").open("a") as file:
        file.write('{"id": "\\ud800", "text": "y"}\n')
    run(project, tmp_path)
    assert [each["id"] for each in errors(tmp_path / "out")] == ["\\ud800"]


def test_what_a_killed_process_left_goes_when_the_run_goes_on(project, tmp_path):
    shard(tmp_path / "in" / "a.jsonl", "x")
    run(project, tmp_path)
    left = tmp_path / "out" / ".b.parquet.0123456789ab"
    left.write_bytes(b"PAR1 half")
    run(project, tmp_path)
    assert not left.exists()


def test_a_full_disk_leaves_nothing_half_written(project, tmp_path, monkeypatch):
    shard(tmp_path / "in" / "a.jsonl", *"abcdef")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(
        KdslError, match=r"out/a\.parquet: cannot be written \(No space left on device\); free some space"
    ):
        run(project, tmp_path)
    assert sorted(os.listdir(tmp_path / "out")) == ["_run.json"]


@pytest.mark.parametrize("workers", [1, 2])
def test_warnings_of_all_shards_are_told_once_a_kind(project, tmp_path, caplog, workers):
    for name in "abc":
        shard(tmp_path / "in" / f"{name}.jsonl", "x", "y")
    run(project, tmp_path, workers)
    [told] = caplog.messages
    assert re.fullmatch(
        r"[abc]\.jsonl: 2 samples in a batch that is not full \(and the like in 2 other shards\)", told
    )


def test_progress_counts_shards_and_says_what_is_left(tmp_path):
    told: list[str] = []

    @contextmanager
    def progress(description: str, total: int | None) -> Iterator[Callable[[str], None]]:
        told.append(f"{description} {total}")
        yield told.append

    for name in "ab":
        shard(tmp_path / "in" / f"{name}.jsonl", "x", "bad")
    run(Project.open(write_project(tmp_path / "project"), progress=progress), tmp_path)
    assert told[0] == "length: shards 2"
    assert re.fullmatch(r"length: 1 rows, 1 errors, \d+ s left", told[1])
    assert told[2] == "length: 2 rows, 2 errors, 0 s left"


def test_a_store_without_locks_gives_the_same_results(project, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "SETTLED", 0.0)
    shard(tmp_path / "in" / "day" / "a.jsonl", "aa", "bad")
    shard(tmp_path / "in" / "b.parquet", "b")
    run(project, tmp_path)
    elsewhere = Storage(f"memory://{tmp_path.name}")
    for name in ("day/a.jsonl", "b.parquet"):
        elsewhere.write(f"in/{name}", (tmp_path / "in" / name).read_bytes())
    addresses = (elsewhere.place("in"), elsewhere.place("out"))
    outcome = run_over_shards(project, Length(), *addresses, in_processes(1))
    assert (outcome.shards, outcome.samples, outcome.problems) == (2, 2, 1)
    here, out = Storage(str(tmp_path / "out")), Storage(addresses[1])
    for file in here.files():
        tables = [pq.read_table(io.BytesIO(each.read(file.name))) for each in (here, out)]
        assert tables[0].to_pylist() == tables[1].to_pylist()
    assert Results(out).errors() == Results(here).errors()
    assert not out.exists("_running.json")
    assert run_over_shards(project, Length(), *addresses, in_processes(1)).done_before == 2
    with lease.leased(out), pytest.raises(KdslError, match="another run writes there"):
        run_over_shards(project, Length(), *addresses, in_processes(1))


def test_a_run_whose_place_was_taken_stops(project, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "SETTLED", 0.0)
    monkeypatch.setattr(lease, "RENEWED", 0.01)
    for name in "ab":
        shard(tmp_path / "in" / f"{name}.jsonl", "x")
    out = Storage(f"memory://{tmp_path.name}/taken")

    def engine(job: Job, shards: Sequence[Shard]) -> Iterator[ShardDone]:
        note = {"run": "other", "host": "there", "process": 7, "at": time.time()}
        for done in work_locally(job, shards, 1):
            for _ in range(20):
                out.write(lease.FILE, json.dumps(note).encode())
                time.sleep(0.01)
            yield done

    with pytest.raises(KdslError, match=r"another run writes there \(process 7 on there, .*0 of 2 shards are in"):
        run_over_shards(project, Length(), str(tmp_path / "in"), out.address, engine)
