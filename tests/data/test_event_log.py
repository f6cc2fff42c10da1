"""What every log of what people say about samples does, shown by that of feedback."""

from datetime import datetime, timedelta

import pytest

from kdsl.data.event_log import REMEDY, Event, local_time, read_events
from kdsl.data.feedback import FeedbackLog
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("退款"), Label("物流")))
ASKED = Sample("1", "shop", (Turn("user", "多久到"),))


def event(at: str) -> Event:
    return Event(event="0123456789ab", at=at, by="王", task="shop", id="1")


def test_times_of_logs_are_compared_wherever_they_were_written():
    east, west = event("2026-01-02T03:04:05+08:00"), event("2026-01-01T22:04:05+02:00")
    assert east.time < west.time == east.time + timedelta(hours=1)


def test_a_time_without_a_zone_is_local():
    assert event("2026-01-02T03:04:05").time == datetime(2026, 1, 2, 3, 4, 5).astimezone()
    assert local_time().utcoffset() is not None


def test_events_are_the_same_list_until_the_file_changes(tmp_path):
    log = FeedbackLog(tmp_path / "feedback.jsonl")
    assert log.events() is log.events()
    log.give(ASKED, "物流", "王", TASK)
    known = log.events()
    assert len(known) == 1 and log.events() is known and log.words() is log.words()
    FeedbackLog(log.path).give(ASKED, "退款", "李", TASK)
    assert [event.by for event in log.events()] == ["王", "李"]
    log.path.unlink()
    assert log.events() == [] and log.words() == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "data").write_text("", "utf-8")
    with pytest.raises(KdslError, match=r"feedback\.jsonl: cannot be written"):
        FeedbackLog(tmp_path / "data" / "feedback.jsonl").give(ASKED, "物流", "王", TASK)


def test_a_line_of_another_log_is_one_sentence(tmp_path):
    FeedbackLog(tmp_path / "feedback.jsonl").give(ASKED, "物流", "王", TASK)
    with pytest.raises(KdslError, match=f"line 1: .*: Extra inputs are not permitted; {REMEDY}"):
        list(read_events(tmp_path / "feedback.jsonl", Event))
