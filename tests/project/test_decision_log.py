"""The decision log: a line for every decision, in files by day and size, of which a kill loses nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logging_service import BATCH
from made_decisions import LABELS, TEXT, decision, several

from kdsl.errors import KdslError
from kdsl.project.decision_log import DecisionLog, LoggedDecision, read_decisions

PAGE = Path(__file__).parents[2] / "docs/service.md"
VERSIONS = {"rules": "0a1b2c3d4e5f", "checkpoint": "1b2c3d4e5f60", "config": "2c3d4e5f6071"}
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Clock:
    """A time that the test sets."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "decisions"


def logged(folder: Path, *decisions, texts: bool = False, at: datetime = NOON) -> list[dict]:
    """The lines after these decisions."""
    with DecisionLog(folder, texts, now=Clock(at)) as log:
        log.append(decisions, VERSIONS)
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text("utf-8").splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ids(folder: Path, since: datetime = LONG_AGO) -> list[str]:
    return [each.id for each in read_decisions(folder, since)]


def test_a_line_says_what_was_decided_by_whom_and_with_what(folder):
    made = decision("a17", (0.7, 0.2, 0.1), (0.3, 0.6, 0.1), ["r-lamp", "r-linen"])
    assert logged(folder, made) == [
        {
            "at": "2026-11-30T12:00:00.000000+00:00",
            "id": "a17",
            "task": "shop",
            "label": "调光",
            "probability": 0.7,
            "by": "rules",
            "label_without_rules": "材质",
            "rules": ["r-lamp", "r-linen"],
            "fingerprint": made.sample.fingerprint,
            "versions": VERSIONS,
        }
    ]
    assert names(folder) == ["decisions-2026-11-30.jsonl"]


def test_the_page_lists_every_key(folder):
    section = PAGE.read_text("utf-8").split("\n## Decision log\n")[1].split("\n## ")[0]
    listed = [
        key for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)
    ]
    [line] = logged(folder, decision(), texts=True)
    assert listed == list(line)


def test_what_the_customer_wrote_is_in_the_log_only_where_it_is_asked_for(folder, tmp_path):
    made = decision(rules=["r-lamp"])
    with DecisionLog(folder, now=Clock()) as log:  # as it is by default
        log.append([made], VERSIONS)
    [silent] = read_decisions(folder, LONG_AGO)
    said = (folder / "decisions-2026-11-30.jsonl").read_text("utf-8")
    assert "sample" not in said and "亮度" not in said and TEXT not in said
    assert silent.sample is None
    [told] = logged(tmp_path / "told", made, texts=True)
    assert told["sample"] == {
        "id": "a",
        "task": "shop",
        "turns": [{"role": "user", "text": TEXT}],
        "images": [],
    }


def test_a_decision_for_a_person_has_no_label(folder):
    [line] = logged(folder, decision(merged=(0.5, 0.3, 0.2), below=0.6))
    assert (line["label"], line["by"], line["probability"]) == (None, "abstained", 0.5)


def test_several_labels_are_a_list_without_one_probability(folder):
    some, none = logged(folder, several("调光", "材质", rules=["r-lamp"]), several())
    assert (some["label"], some["label_without_rules"], some["by"]) == (["调光", "材质"], ["物流"], "rules")
    assert (some["probability"], none["probability"], none["label"], none["by"]) == (None, None, [], "model")


def test_what_was_logged_is_read_back(folder):
    made = [decision("a", rules=["r-lamp"]), several("调光", "物流", id="b"), decision("c", below=1.1)]
    with DecisionLog(folder, texts=True, now=Clock()) as log:
        log.append(made, VERSIONS)
    first, second, third = read_decisions(folder, LONG_AGO)
    assert first == LoggedDecision(
        NOON, "a", "shop", "调光", 0.7, "model", "调光", ("r-lamp",), made[0].sample.fingerprint, VERSIONS,
        {"id": "a", "task": "shop", "turns": [{"role": "user", "text": TEXT}], "images": []},
    )  # fmt: skip
    assert (second.label, second.label_without_rules, second.probability) == (("调光", "物流"), ("物流",), None)
    assert (third.label, third.by) == (None, "abstained")


words = st.text(max_size=20)


@given(
    st.lists(st.tuples(words, words, st.integers(0, 2)), max_size=5),
    st.lists(words, min_size=3, max_size=3, unique=True),
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
)
def test_any_text_comes_back_as_it_was(said, labels, at):
    made = [decision(id, most_for(likeliest), labels=labels, text=text) for id, text, likeliest in said]
    with tempfile.TemporaryDirectory() as folder, DecisionLog(
        Path(folder), texts=True, now=Clock(at.replace(tzinfo=UTC))
    ) as log:  # fmt: skip
        log.append(made, VERSIONS)
        found = read_decisions(Path(folder), LONG_AGO - timedelta(days=10_000))
        assert [(each.id, each.sample["turns"][0]["text"], each.label, each.at) for each in found] == [
            (id, text, labels[likeliest], at.replace(tzinfo=UTC)) for id, text, likeliest in said
        ]
        assert found.damaged == 0


def most_for(index: int) -> list[float]:
    return [0.8 if each == index else 0.1 for each in range(len(LABELS))]


@pytest.fixture(params=["UTC", "Asia/Shanghai"])
def zone(request, monkeypatch):
    """Where the machine is."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(sys.platform == "win32", reason="the zone cannot be set")
def test_a_day_is_one_of_utc_and_begins_a_file(folder, zone):
    clock = Clock(datetime(2026, 12, 1, 7, 59, tzinfo=timezone(timedelta(hours=8))))  # 23:59 in UTC
    with DecisionLog(folder, now=clock) as log:
        log.append([decision("a")], VERSIONS)
        clock.at += timedelta(minutes=1)
        log.append([decision("b")], VERSIONS)
    assert names(folder) == ["decisions-2026-11-30.jsonl", "decisions-2026-12-01.jsonl"]
    first, second = read_decisions(folder, LONG_AGO)
    assert (first.at, second.at) == (datetime(2026, 11, 30, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert ids(folder, first.at) == ["a", "b"]
    assert ids(folder, second.at) == ["b"]
    assert '"at": "2026-12-01T00:00:00.000000+00:00"' in (folder / "decisions-2026-12-01.jsonl").read_text("utf-8")


def test_a_file_that_is_full_is_followed_by_another_one(folder):
    with DecisionLog(folder, most_bytes=1, now=Clock()) as log:
        for number in range(12):
            log.append([decision(str(number)), decision(f"{number}'")], VERSIONS)
    files = ["decisions-2026-11-30.jsonl", *(f"decisions-2026-11-30.{number}.jsonl" for number in range(2, 13))]
    assert names(folder) == sorted(files)
    assert ids(folder) == [each for number in range(12) for each in (str(number), f"{number}'")]  # .10 after .9
    last = folder / "decisions-2026-11-30.12.jsonl"
    with DecisionLog(folder, most_bytes=last.stat().st_size + 1, now=Clock()) as log:
        log.append([decision("more")], VERSIONS)
    assert names(folder) == sorted(files)  # the last one has room again
    assert ids(folder)[-1] == "more"


@pytest.mark.parametrize(("room", "files"), [(1, 1), (0, 2)])
def test_a_file_is_full_with_the_last_byte(folder, room, files):
    logged(folder, decision("a"))
    size = (folder / "decisions-2026-11-30.jsonl").stat().st_size
    (folder / "decisions-2026-11-30.jsonl").unlink()
    with DecisionLog(folder, most_bytes=size + room, now=Clock()) as log:
        log.append([decision("a")], VERSIONS)
        log.append([decision("b")], VERSIONS)
    assert len(names(folder)) == files
    logged(folder, decision("c"))  # with the room of other settings
    assert ids(folder) == ["a", "b", "c"]


def test_files_of_days_that_are_over_are_deleted_and_nothing_else(folder):
    folder.mkdir()
    old = ["decisions-2026-11-27.jsonl", "decisions-2026-11-27.2.jsonl", "decisions-2019-01-01.jsonl"]
    kept = [
        "decisions-2026-11-28.jsonl", "decisions-2027-01-01.jsonl", "decisions-2019-01-01.jsonl.bak",
        "decisions-2019-01-01.1.jsonl", "decisions-2019-01-01.02.jsonl", "decisions-2019-02-30.jsonl",
        "my-decisions-2019-01-01.jsonl", "decisions-20190101.jsonl", "feedback.jsonl",
    ]  # fmt: skip
    for name in old + kept:
        (folder / name).touch()
    clock = Clock()
    with DecisionLog(folder, days=2, now=clock) as log:
        assert names(folder) == sorted([*kept, "decisions-2026-11-30.jsonl"])
        clock.at += timedelta(days=1)
        log.append([decision()], VERSIONS)
    assert "decisions-2026-11-28.jsonl" not in names(folder)
    assert "decisions-2026-11-30.jsonl" in names(folder)


def test_an_old_file_that_cannot_be_deleted_is_told_of(folder, caplog):
    (folder / "decisions-2026-01-01.jsonl").mkdir(parents=True)
    with DecisionLog(folder, now=Clock()) as log:
        log.append([decision("a")], VERSIONS)
    assert ids(folder, NOON) == ["a"]
    [told] = caplog.messages
    assert "decisions-2026-01-01.jsonl: cannot be deleted (" in told
    assert told.endswith("), though it is over 30 days old; delete it by hand")


def test_only_what_is_new_enough_is_read(folder):
    clock = Clock()
    with DecisionLog(folder, now=clock) as log:
        for hour in range(0, 48, 8):
            clock.at = NOON + timedelta(hours=hour)
            log.append([decision(str(hour))], VERSIONS)
    assert ids(folder, NOON + timedelta(hours=16)) == ["16", "24", "32", "40"]
    assert ids(folder, NOON + timedelta(hours=16, microseconds=1)) == ["24", "32", "40"]
    (folder / "decisions-2026-11-30.jsonl").unlink()
    (folder / "decisions-2026-11-30.jsonl").mkdir()  # which nobody can read
    assert ids(folder, NOON + timedelta(hours=16)) == ["16", "24", "32", "40"]
    with pytest.raises(KdslError, match=r"decisions-2026-11-30\.jsonl: is a folder, not a file"):
        ids(folder, NOON)


def test_a_time_in_another_zone_is_the_same_time(folder):
    logged(folder, decision("a"))
    noon = NOON.astimezone(timezone(timedelta(hours=-9)))
    assert ids(folder, noon) == ["a"]
    assert ids(folder, noon + timedelta(seconds=1)) == []
    path = folder / "decisions-2026-11-30.jsonl"
    path.write_text(path.read_text("utf-8").replace("T12:00:00.000000+00:00", "T19:00:00.000000+08:00"), "utf-8")
    assert ids(folder, NOON - timedelta(hours=1)) == ["a"]
    assert ids(folder, NOON) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", "2026-11-30T12:00:00"), ("at", "yesterday"), ("id", 7), ("label", 7), ("label", {}),
        ("probability", 1.5), ("probability", "nan"), ("by", "chance"), ("rules", "r-lamp"), ("rules", [7]),
        ("versions", []), ("versions", {"rules": 1}), ("sample", "text"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_decision_is_counted(folder, key, value):
    [line] = logged(folder, decision("a"))
    with (folder / "decisions-2026-11-30.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line | {key: value}) + "\n" + json.dumps(line | {"id": "b"}) + "\n")
    found = read_decisions(folder, LONG_AGO)
    assert [each.id for each in found] == ["a", "b"]
    assert found.damaged == 1
    assert len(list(found)) == 2 and found.damaged == 1  # read again, not counted twice


def test_damaged_lines_are_counted_and_the_others_read(folder):
    [line] = logged(folder, decision("a"))
    whole = json.dumps(line).encode()
    rest = [b"", whole[:-9], b"\xff\xfe", b"[]", b"null", whole + whole, whole.replace(b'"a"', b'"b"'), whole[:40]]
    with (folder / "decisions-2026-11-30.jsonl").open("ab") as file:
        file.write(b"\n".join(rest))
    found = read_decisions(folder, LONG_AGO)
    assert [each.id for each in found] == ["a", "b"]
    assert found.damaged == 6  # all but the empty one


def test_only_what_was_written_behind_an_earlier_reading_is_read(folder):
    logged(folder, decision("a"), at=NOON - timedelta(days=1))
    logged(folder, decision("b"))
    first = read_decisions(folder, LONG_AGO)
    assert [each.id for each in first] == ["a", "b"]
    logged(folder, decision("c"))
    logged(folder, decision("d"), at=NOON + timedelta(days=1))
    second = read_decisions(folder, LONG_AGO, first.read)
    assert [each.id for each in second] == [each.id for each in second] == ["c", "d"]
    assert list(read_decisions(folder, LONG_AGO, second.read)) == []


def test_a_file_that_was_begun_again_since_an_earlier_reading_is_read_from_its_start(folder):
    logged(folder, decision("a"), decision("b"))
    first = read_decisions(folder, LONG_AGO)
    assert [each.id for each in first] == ["a", "b"]
    (folder / "decisions-2026-11-30.jsonl").unlink()
    logged(folder, decision("c"))
    assert [each.id for each in read_decisions(folder, LONG_AGO, first.read)] == ["c"]


def test_an_unfinished_line_is_read_once_it_is_whole(folder):
    [line] = logged(folder, decision("a"))
    path = folder / "decisions-2026-11-30.jsonl"
    whole = json.dumps(line).encode()
    for part, damaged in ((whole[:60], 1), (whole, 0)):
        path.write_bytes(part)
        found = read_decisions(folder, LONG_AGO)
        assert (list(found), found.damaged, found.unfinished) == ([], damaged, damaged)
        assert found.read.get(path, 0) == 0
    path.write_bytes(whole + b"\n[]\n")
    found = read_decisions(folder, LONG_AGO, found.read)
    assert ([each.id for each in found], found.damaged, found.unfinished) == (["a"], 1, 0)
    assert found.read == {path: path.stat().st_size}


def test_a_line_that_a_later_version_says_more_in_is_read(folder):
    [line] = logged(folder, decision("a"))
    (folder / "decisions-2026-11-30.jsonl").write_text(json.dumps(line | {"new": 1}) + "\n")
    assert ids(folder) == ["a"]


def test_without_a_folder_there_are_no_decisions(folder):
    found = read_decisions(folder, LONG_AGO)
    assert (list(found), found.damaged) == ([], 0)


@pytest.mark.parametrize("torn", ['{"at": "2026', '{"at": "2026-11-30T12:00:00.000000+00:00", "id": "退', "{"])
def test_a_line_that_a_kill_tore_is_taken_away_at_the_next_start(folder, torn):
    logged(folder, decision("a"))
    with (folder / "decisions-2026-11-30.jsonl").open("a", encoding="utf-8") as file:
        file.write(torn)
    found = read_decisions(folder, LONG_AGO)
    assert ([each.id for each in found], found.damaged) == (["a"], 1)
    assert [line["id"] for line in logged(folder, decision("b"))] == ["a", "b"]


def test_a_line_that_another_service_tears_harms_none_of_this_one(folder):
    with DecisionLog(folder, now=Clock()) as log:
        log.append([decision("a")], VERSIONS)
        with (folder / "decisions-2026-11-30.jsonl").open("a", encoding="utf-8") as other:
            other.write('{"at": "2026')
        log.append([decision("b")], VERSIONS)
    found = read_decisions(folder, LONG_AGO)
    assert ([each.id for each in found], found.damaged) == (["a", "b"], 0)


@pytest.mark.parametrize("gone", ["moved", "deleted", "its folder deleted", "replaced"])
def test_a_file_that_somebody_takes_away_is_begun_again(folder, gone, tmp_path):
    path = folder / "decisions-2026-11-30.jsonl"
    with DecisionLog(folder, now=Clock()) as log:
        log.append([decision("a")], VERSIONS)
        if gone == "deleted":
            path.unlink()
        else:
            path.rename(tmp_path / "moved.jsonl")
        if gone == "its folder deleted":
            folder.rmdir()
        if gone == "replaced":
            path.touch()
        log.append([decision("b")], VERSIONS)
    assert ids(folder) == ["b"]
    if gone != "deleted":
        assert [json.loads(line)["id"] for line in (tmp_path / "moved.jsonl").read_text().splitlines()] == ["a"]


def test_a_link_is_refused(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere.jsonl"
    folder.mkdir()
    with DecisionLog(folder, now=Clock()) as log:
        (folder / "decisions-2026-11-30.jsonl").unlink()
        (folder / "decisions-2026-11-30.jsonl").symlink_to(elsewhere)
        refused = r"decisions-2026-11-30\.jsonl: is a link; the files of a decision log lie in its folder themselves"
        with pytest.raises(KdslError, match=refused):
            log.append([decision()], VERSIONS)
    with pytest.raises(KdslError, match=refused):
        DecisionLog(folder, now=Clock())
    with pytest.raises(KdslError, match=refused):
        read_decisions(folder, NOON)
    assert not elsewhere.exists()


def test_a_folder_that_is_a_link_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/decisions-2019-01-01.jsonl").touch()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KdslError, match=r"decisions: is a link; set serve\.log to the folder that it leads to"):
        DecisionLog(folder)
    assert names(tmp_path / "elsewhere") == ["decisions-2019-01-01.jsonl"]


def test_a_folder_that_is_a_file_is_told_at_the_start(folder):
    folder.write_text("notes")
    refused = r"decisions: is a file; set serve\.log to a folder, which may be a new one"
    with pytest.raises(KdslError, match=refused):
        DecisionLog(folder)
    with pytest.raises(KdslError, match=refused):
        read_decisions(folder, NOON)
    assert folder.read_text() == "notes"


def test_a_folder_below_a_file_is_told_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KdslError, match=r"file/decisions: is a file; set serve\.log to a folder"):
        DecisionLog(tmp_path / "file/decisions")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_told(folder):
    folder.mkdir(mode=0o500)
    with pytest.raises(KdslError, match=r"\.jsonl: cannot be written \(Permission denied\); choose a folder that you"):
        DecisionLog(folder)
    folder.chmod(0o300)
    with pytest.raises(KdslError, match=r"cannot be read \(Permission denied\); set serve\.log to a folder that you"):
        read_decisions(folder, NOON)
    folder.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of file sizes")
def test_after_a_disk_that_was_full_nothing_is_damaged(folder):
    import resource

    log = DecisionLog(folder, now=Clock())
    log.append([decision("a")], VERSIONS)
    size = (folder / "decisions-2026-11-30.jsonl").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
    try:
        with pytest.raises(KdslError, match=r"decisions-2026-11-30\.jsonl: cannot be written \(File too large\)"):
            log.append([decision("b")], VERSIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (folder / "decisions-2026-11-30.jsonl").stat().st_size == size + 100
    log.append([decision("c")], VERSIONS)
    found = read_decisions(folder, LONG_AGO)
    assert ([each.id for each in found], found.damaged) == (["a", "c"], 0)


def test_threads_and_several_logs_may_write_at_once(folder):
    def write(log: DecisionLog, name: str) -> None:
        for batch in range(20):
            log.append([decision(f"{name}-{batch}-{row}") for row in range(5)], VERSIONS)

    logs = [DecisionLog(folder, most_bytes=4000, now=Clock()) for _ in range(2)]
    threads = [threading.Thread(target=write, args=(logs[n % 2], str(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_decisions(folder, LONG_AGO)
    assert Counter(each.id for each in found) == Counter(
        f"{name}-{batch}-{row}" for name in range(4) for batch in range(20) for row in range(5)
    )
    assert found.damaged == 0
    assert len(names(folder)) > 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_a_kill_loses_no_decision_that_was_logged(folder):
    """Two services log into one folder; one is killed, and some time later the other one."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    program = Path(__file__).with_name("logging_service.py")
    services = {
        name: subprocess.Popen(
            [sys.executable, program, folder, name, "200000"], env=environment, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    }
    told = {}
    for name, until in (("one", 40), ("two", 60)):
        output = services[name].stdout
        batches = [next(output) for _ in range(until)]
        services[name].send_signal(signal.SIGKILL)
        told[name] = [int(line) for line in [*batches, *output] if line.endswith("\n")]
        assert services[name].wait() == -signal.SIGKILL
        output.close()
    found = read_decisions(folder, LONG_AGO)
    seen = Counter(each.id for each in found)
    for name, batches in told.items():
        assert batches == list(range(len(batches))) and len(batches) >= 40
        assert all(seen[f"{name}-{batch}-{row}"] == 1 for batch in batches for row in range(BATCH))
        more = {id for id in seen if id.startswith(name)} - {f"{name}-{b}-{r}" for b in batches for r in range(BATCH)}
        assert {id.split("-")[1] for id in more} <= {str(len(batches))}  # of the one that it had no time to tell of
    assert found.damaged <= 1
    assert len(names(folder)) > 1
    DecisionLog(folder).close()
    assert len(list(found)) == sum(seen.values())
