"""A claim on a place without locks: who is there is told, and who was killed is in nobody's way for ever."""

import json
import time
import uuid

import pytest
from waiting import until

import kdsl.distributed.lease as lease
from kdsl.distributed.lease import FILE, leased
from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(lease, "SETTLED", 0.0)
    return Storage(f"memory://{uuid.uuid4().hex}")


def write_note(storage: Storage, seconds_ago: float, run: str = "other") -> None:
    note = {"run": run, "host": "there", "process": 7, "at": time.time() - seconds_ago}
    storage.write(FILE, json.dumps(note).encode())


def test_one_has_the_place_and_gives_it_back(storage):
    with leased(storage) as require_held:
        require_held()
        with (
            pytest.raises(KdslError, match=r"another run writes there \(process \d+ on .*, 0 seconds ago\); wait"),
            leased(storage),
        ):
            pass
        assert storage.exists(FILE)
    assert not storage.exists(FILE)


@pytest.mark.parametrize(("seconds", "free"), [(110, False), (130, True)])
def test_who_was_not_heard_of_for_two_minutes_is_gone(storage, seconds, free):
    write_note(storage, seconds)
    if free:
        with leased(storage):
            pass
    else:
        with pytest.raises(KdslError, match="process 7 on there, 110 seconds ago"), leased(storage):
            pass
        assert storage.exists(FILE)


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b'{"run": 1, "at": "x"}'])
def test_a_note_of_nobody_is_written_over(storage, note):
    storage.write(FILE, note)
    with leased(storage):
        pass
    assert not storage.exists(FILE)


def test_who_comes_a_moment_later_has_it(storage, monkeypatch):
    monkeypatch.setattr(lease, "SETTLED", 0.01)
    monkeypatch.setattr(time, "sleep", lambda seconds: write_note(storage, 0))
    with pytest.raises(KdslError, match="process 7 on there"), leased(storage):
        pass
    assert json.loads(storage.read(FILE))["run"] == "other"


def test_it_is_renewed_until_another_has_taken_it_over(storage, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED", 0.01)
    with leased(storage) as require_held:
        first = json.loads(storage.read(FILE))["at"]
        until(lambda: json.loads(storage.read(FILE))["at"] > first)
        require_held()
        write_note(storage, 0)

        def is_lost() -> bool:
            if json.loads(storage.read(FILE))["run"] != "other":
                write_note(storage, 0)  # it was just being renewed
            try:
                require_held()
            except KdslError as error:
                assert "process 7 on there" in str(error)
                return True
            return False

        until(is_lost)
    assert json.loads(storage.read(FILE))["run"] == "other"


def test_a_store_that_cannot_be_reached_for_a_while_loses_nothing(storage, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED", 0.01)
    failed, write = [], Storage.write

    def write_or_fail(self: Storage, name: str, content: bytes) -> None:
        if len(failed) < 3:
            failed.append(name)
            raise KdslError("not just now: wait")
        write(self, name, content)

    with leased(storage) as require_held:
        first = json.loads(storage.read(FILE))["at"]
        monkeypatch.setattr(Storage, "write", write_or_fail)
        until(lambda: json.loads(storage.read(FILE))["at"] > first)
        require_held()
        assert len(failed) == 3
