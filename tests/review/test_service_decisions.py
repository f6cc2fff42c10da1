"""The decision log as the page counts it: by the hour, the day or the week, read on while a service writes it."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from made_decisions import decision
from shop_with_service import LOG, log

from kdsl.review import service_decisions
from kdsl.review.service_decisions import ServiceDecisions

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Clock:
    """A time that the test sets."""

    def __init__(self):
        self.at = NOON

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(service_decisions, "_PATIENCE", 60.0)
    return ServiceDecisions(tmp_path / LOG, ["shop"], clock)


def logged(tmp_path, *ids, before=timedelta(), **values):
    """Log decisions that were made some time before noon."""
    log(tmp_path, *(decision(id, **values) for id in ids), at=NOON - before)


def test_a_period_counts_what_was_decided_in_it(service, tmp_path):
    for before in (timedelta(days=8), timedelta(days=3), timedelta(hours=5), timedelta(minutes=50), timedelta()):
        logged(tmp_path, "a", before=before)
    assert {period: service.lately("shop", period).tally.decisions for period in ("hour", "day", "week")} == {
        "hour": 2, "day": 3, "week": 4,
    }  # fmt: skip
    assert service.lately("shop", "day").tally.decisions == 3  # still


def test_a_period_begins_with_ten_minutes(service, clock):
    clock.at = NOON + timedelta(minutes=7)
    assert service.lately("shop", "hour").since == NOON - timedelta(hours=1)
    assert service.lately("shop", "week").since == NOON - timedelta(days=7)


def test_what_is_logged_meanwhile_is_added(service, tmp_path):
    logged(tmp_path, "a", "b", rules=["r-lamp"])
    first = service.lately("shop", "day").tally
    logged(tmp_path, "c")
    second = service.lately("shop", "day").tally
    assert (first.decisions, second.decisions, second.rules["r-lamp"], second.without_rule) == (2, 3, 2, 1)


def test_every_line_is_read_once(service, tmp_path):
    logged(tmp_path, "a", before=timedelta(days=1))
    logged(tmp_path, "b")
    service.lately("shop", "day")
    for path in (tmp_path / LOG).iterdir():  # as long as before
        path.write_bytes(b"x" * (path.stat().st_size - 1) + b"\n")
    logged(tmp_path, "c")
    lately = service.lately("shop", "day")
    assert (lately.tally.decisions, lately.damaged) == (3, 0)


def test_what_is_older_than_the_period_falls_out_of_it(service, tmp_path, clock):
    logged(tmp_path, "a", before=timedelta(hours=20))
    logged(tmp_path, "b")
    assert service.lately("shop", "day").tally.decisions == 2
    clock.at = NOON + timedelta(hours=5)
    assert service.lately("shop", "day").tally.decisions == 1
    assert service.lately("shop", "week").tally.decisions == 2
    clock.at = NOON + timedelta(days=8)
    service.lately("shop", "hour")
    assert service._slots == {}  # nothing is kept for ever


def test_other_tasks_are_passed_over(service, tmp_path):
    logged(tmp_path, "a")
    logged(tmp_path, "b", task="other")
    assert service.lately("shop", "day").tally.decisions == 1
    assert {task for _, task in service._slots} == {"shop"}


def test_damaged_lines_are_counted_once(service, tmp_path):
    logged(tmp_path, "a")
    [path] = (tmp_path / LOG).iterdir()
    with path.open("ab") as file:
        file.write(b"\xff\n[]\n")
    assert service.lately("shop", "day").damaged == 2
    logged(tmp_path, "b")
    lately = service.lately("shop", "day")
    assert (lately.damaged, lately.tally.decisions) == (2, 2)


def test_a_line_that_is_being_written_counts_once_it_is_whole(service, tmp_path):
    logged(tmp_path, "a")
    [path] = (tmp_path / LOG).iterdir()
    line = path.read_bytes()
    for part, decisions, damaged in ((line[:50], 1, 1), (line[50:-1], 1, 0), (line[-1:], 2, 0), (b"", 2, 0)):
        with path.open("ab") as file:
            file.write(part)
        lately = service.lately("shop", "day")
        assert (lately.tally.decisions, lately.damaged) == (decisions, damaged)


def test_a_torn_line_that_was_mended_is_damaged_no_more(service, tmp_path):
    logged(tmp_path, "a")
    [path] = (tmp_path / LOG).iterdir()
    with path.open("ab") as file:
        file.write(b'{"at": "2026-11-30T12:00:00.000000+00:00", "id')
    assert service.lately("shop", "day").damaged == 1
    logged(tmp_path, "b")
    lately = service.lately("shop", "day")
    assert (lately.tally.decisions, lately.damaged) == (2, 0)


def test_a_log_that_is_a_link_is_not_read(service, tmp_path):
    logged(tmp_path / "foreign", "a")
    (tmp_path / LOG).symlink_to(tmp_path / "foreign" / LOG)
    lately = service.lately("shop", "day")
    assert lately.tally.decisions == 0 and service.there
    assert lately.problem == f"{tmp_path / LOG}: is a link; set serve.log to the folder that it leads to"


def test_a_log_that_can_be_read_again_counts_as_before(service, tmp_path):
    logged(tmp_path, "a", before=timedelta(days=1))
    assert service.lately("shop", "day").tally.decisions == 1
    logged(tmp_path, "b")
    newest = max((tmp_path / LOG).iterdir())
    newest.rename(tmp_path / "kept")
    newest.symlink_to(tmp_path / "kept")
    lately = service.lately("shop", "day")
    assert lately.tally.decisions == 1 and "is a link" in lately.problem
    newest.unlink()
    (tmp_path / "kept").rename(newest)
    lately = service.lately("shop", "day")
    assert (lately.tally.decisions, lately.problem) == (2, "")


def test_without_a_log_there_is_nothing(service):
    lately = service.lately("shop", "week")
    assert (lately.tally.decisions, lately.reading, lately.problem) == (0, False, "") and not service.there


@pytest.fixture
def slow(monkeypatch):
    """Nothing more is read until the event is set."""
    go_on = threading.Event()

    def slowly(decisions, most):
        go_on.wait(60)
        return islice(decisions, most)

    monkeypatch.setattr(service_decisions, "islice", slowly)
    yield go_on
    go_on.set()


def test_nobody_waits_long_for_a_log_that_takes_long(service, tmp_path, slow, monkeypatch):
    logged(tmp_path, "a")
    monkeypatch.setattr(service_decisions, "_PATIENCE", 0.01)
    before = service.lately("shop", "day")
    assert (before.reading, before.tally.decisions) == (True, 0)
    slow.set()
    monkeypatch.setattr(service_decisions, "_PATIENCE", 60.0)
    after = service.lately("shop", "day")
    assert (after.reading, after.tally.decisions) == (False, 1)


def test_who_asks_for_a_week_while_a_day_is_read_gets_the_week(service, tmp_path, monkeypatch):
    logged(tmp_path, "a", before=timedelta(days=3))
    logged(tmp_path, *(f"b{i}" for i in range(50)))
    monkeypatch.setattr(service_decisions, "_TOGETHER", 10)
    read, at_once = service_decisions.read_decisions, []

    def meanwhile(*arguments):
        found = read(*arguments)
        if not at_once:
            at_once.append(True)
            service._longest = timedelta(days=7)
            service._forget()
        return found

    monkeypatch.setattr(service_decisions, "read_decisions", meanwhile)
    assert service.lately("shop", "day").tally.decisions == 50
    assert service.lately("shop", "week").tally.decisions == 51
