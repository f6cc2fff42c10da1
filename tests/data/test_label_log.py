"""Labels that people give are kept in an append-only log beside the data, and undone by another line of it."""

import json
import multiprocessing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.data.label_log import GivenLabels, LabelLog
from kdsl.data.notes import Notes
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("退款"), Label("物流"), Label("材质")))


def sample(id: str, text: str = "多久到", label: str | None = "退款") -> Sample:
    return Sample(id, "shop", (Turn("user", text),), label=label)


def log_in(folder: Path) -> LabelLog:
    return LabelLog(folder / "labels.jsonl", lambda: datetime(2026, 1, 2, 3, 4, 5))


def lines(log: LabelLog) -> list[dict]:
    return [json.loads(line) for line in log.path.read_text("utf-8").splitlines()]


def applied(log: LabelLog, *samples: Sample, more: tuple[Sample, ...] = ()) -> tuple[list[str | None], list[str]]:
    """The labels that the samples have then, and what was noted."""
    notes = Notes()
    found = GivenLabels(log.events()).applied(samples, more, [TASK], notes)
    return [each.label for each in found], [f"{noted.count} {what}" for what, noted in notes.left_out.items()]


class TestGiving:
    def test_one_line_says_who_gave_which_sample_which_label_when(self, tmp_path):
        log = log_in(tmp_path)
        event = log.give(sample("1"), "物流", "小王")
        assert lines(log) == [
            {
                "event": event.event,
                "at": "2026-01-02T03:04:05.000000",
                "by": "小王",
                "action": "relabel",
                "task": "shop",
                "id": "1",
                "fingerprint": sample("1").fingerprint,
                "label": "物流",
                "was": "退款",
                "undoes": None,
            }
        ]

    @pytest.mark.parametrize(
        ("had", "label", "action"), [("退款", "物流", "relabel"), ("退款", "退款", "confirm"), (None, "退款", "label")]
    )
    def test_the_action_says_what_the_label_is_beside_the_one_before(self, tmp_path, had, label, action):
        assert log_in(tmp_path).give(sample("1", label=had), label, "王").action == action

    def test_the_last_label_counts_for_that_sample_only(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        log.give(sample("1", label="物流"), "材质", "李")
        assert applied(log, sample("1"), sample("2")) == (["材质", "退款"], [])

    def test_samples_without_labels_that_were_given_one_join_those_with(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("u1", label=None), "物流", "王")
        unlabelled = sample("u1", label=None), sample("u2", label=None)
        assert applied(log, sample("1"), more=unlabelled) == (["退款", "物流"], [])

    def test_files_that_number_their_samples_alike_are_told_apart(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        log.give(sample("1", "什么布", None), "材质", "王")
        assert applied(log, sample("1"), more=(sample("1", "什么布", None),)) == (["物流", "材质"], [])

    def test_nobody_gives_a_label_that_somebody_else_has_changed_since(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        with pytest.raises(KdslError, match="'1' has the label '物流' since you opened it, so nothing"):
            log.give(sample("1"), "材质", "李")
        assert len(lines(log)) == 1

    def test_who_gives_labels_needs_a_name(self, tmp_path):
        with pytest.raises(KdslError, match="has no name; give one with --as NAME"):
            log_in(tmp_path).give(sample("1"), "物流", " ")
        assert not log_in(tmp_path).path.exists()


class TestUndo:
    def test_takes_back_the_last_label_of_that_person_and_adds_a_line(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        second = log.give(sample("2"), "材质", "王")
        log.give(sample("3"), "材质", "李")
        assert log.undo("王") == second
        assert applied(log, sample("1"), sample("2"), sample("3"))[0] == ["物流", "退款", "材质"]
        assert [line["action"] for line in lines(log)] == ["relabel", "relabel", "relabel", "undo"]
        assert lines(log)[-1]["undoes"] == second.event

    def test_again_takes_back_the_one_before_and_then_nothing(self, tmp_path):
        log = log_in(tmp_path)
        first = log.give(sample("1"), "物流", "王")
        log.give(sample("1", label="物流"), "材质", "王")
        log.undo("王")
        assert applied(log, sample("1"))[0] == ["物流"]
        assert log.undo("王") == first
        assert applied(log, sample("1"))[0] == ["退款"]
        assert log.undo("王") is None
        assert len(lines(log)) == 4

    def test_leaves_what_somebody_else_said_about_the_sample_since(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        log.give(sample("1", label="物流"), "材质", "李")
        log.undo("王")
        assert applied(log, sample("1")) == (["材质"], [])


class TestStale:
    GONE = "1 labels that people gave are not used, as their samples have changed or are gone"
    SINCE = "1 labels that people gave are not used, as the file of the samples has other ones since"

    def test_a_sample_that_says_something_else_since_keeps_the_label_of_its_file(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        assert applied(log, sample("1", "怎么退")) == (["退款"], [self.GONE])

    def test_a_label_that_the_file_got_since_counts(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        assert applied(log, sample("1", label="材质")) == (["材质"], [self.SINCE])

    def test_a_file_that_was_put_right_by_hand_agrees_and_can_be_labelled_on(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        assert applied(log, sample("1", label="物流")) == (["物流"], [])
        log.give(sample("1", label="物流"), "材质", "王")
        assert applied(log, sample("1", label="物流")) == (["材质"], [])

    def test_a_label_that_the_task_has_no_more_is_told(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "木头", "王")
        assert applied(log, sample("1")) == (
            ["退款"],
            ["1 labels that people gave are not listed by the task and not used"],
        )

    def test_a_label_of_the_time_when_samples_had_one_is_told_and_not_used(self, tmp_path):
        log, notes = log_in(tmp_path), Notes()
        log.give(sample("1", label=None), "物流", "王")
        several = replace(TASK, multi=True)
        [found] = log.given().applied([sample("1", label=None)], [], [several], notes)
        assert (found.label, found.labels) == (None, None)
        [told] = notes.left_out
        assert told == "labels that people gave are not used, as samples of their task may have several now"

    def test_labels_of_other_tasks_are_nothing_to_tell(self, tmp_path):
        log = log_in(tmp_path)
        log.give(Sample("1", "else", (Turn("user", "?"),), label="a"), "b", "王")
        assert applied(log, sample("1")) == (["退款"], [])


class TestFile:
    def test_no_file_holds_no_labels(self, tmp_path):
        log = log_in(tmp_path)
        assert log.events() == []
        assert log.undo("王") is None
        assert not log.path.exists()

    def test_a_line_that_an_interruption_tore_is_taken_away_with_the_next_one(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        whole = log.path.read_bytes()
        with log.path.open("ab") as file:
            file.write(b'{"event": "0123')
        log.give(sample("2"), "物流", "王")
        assert log.path.read_bytes().startswith(whole)
        assert [line["id"] for line in lines(log)] == ["1", "2"]

    @pytest.mark.parametrize("torn", [b"{", b'{"event": "0123', '{"event": "012345678901", "by": "王'.encode()[:-1]])
    def test_who_reads_a_torn_line_reads_those_before_it(self, tmp_path, torn):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        whole = log.path.read_bytes()
        with log.path.open("ab") as file:
            file.write(torn)
        assert [event.id for event in LabelLog(log.path).events()] == ["1"]
        assert log.path.read_bytes() == whole

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"label": 3}, "label: Input should be a valid string"),
            ({"undoes": "0" * 12}, "an undo names the event that it takes back, and any other event a label"),
            ({"action": "undo"}, "an undo names the event that it takes back, and any other event a label"),
            ({"label": None}, "an undo names the event that it takes back, and any other event a label"),
            ({"action": "confirm"}, "from '退款' to '物流' is not the action 'confirm'"),
            ({"event": "../../etc"}, "event: String should match pattern"),
            ({"more": 1}, "more: Extra inputs are not permitted"),
        ],
    )
    def test_a_line_changed_by_hand_is_one_sentence_with_its_place(self, tmp_path, change, told):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        log.path.write_text(log.path.read_text("utf-8") + json.dumps(lines(log)[0] | change) + "\n", "utf-8")
        with pytest.raises(KdslError) as caught:
            LabelLog(log.path).events()
        assert str(caught.value).startswith(f"{log.path}, line 2: {told}")
        assert str(caught.value).endswith("; restore the file from git, or take the line out")

    def test_a_line_that_git_joined_in_twice_counts_once_and_another_one_of_its_id_is_refused(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王")
        line = log.path.read_text("utf-8")
        log.path.write_text(line * 2, "utf-8")
        assert len(log.events()) == 1
        log.path.write_text(line + line.replace("王", "李"), "utf-8")
        with pytest.raises(KdslError, match=r"line 2: another event has the id '[0-9a-f]{12}' too"):
            log.events()

    def test_a_link_is_refused_and_what_it_leads_to_left_alone(self, tmp_path):
        other = tmp_path / "other.txt"
        other.write_text("", "utf-8")
        log = log_in(tmp_path)
        log.path.symlink_to(other)
        with pytest.raises(KdslError, match="is a link; a log of labels must be a file of its own"):
            log.give(sample("1"), "物流", "王")
        assert other.read_text("utf-8") == ""


def _label_many(path: Path, who: str, count: int) -> None:
    log = LabelLog(path)
    for number in range(count):
        log.give(sample(f"{who}{number}"), "物流", who)
        if number % 3 == 0:
            log.undo(who)


def test_two_processes_lose_nothing_of_each_other(tmp_path):
    path = tmp_path / "labels.jsonl"
    context = multiprocessing.get_context("spawn")
    people = [context.Process(target=_label_many, args=(path, who, 30)) for who in ("a", "b")]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert [each.exitcode for each in people] == [0, 0]
    log = LabelLog(path)
    assert len(log.events()) == 80
    expected = ["退款" if number % 3 == 0 else "物流" for number in range(30)]
    assert applied(log, *(sample(f"a{number}") for number in range(30)))[0][:30] == expected
    assert applied(log, *(sample(f"b{number}") for number in range(30)))[0][:30] == expected


STEPS = st.lists(
    st.tuples(st.sampled_from(["give", "undo"]), st.sampled_from("王李"), st.sampled_from("12"),
              st.sampled_from(TASK.label_names)),
    max_size=20,
)  # fmt: skip


@settings(max_examples=30)
@given(STEPS)
def test_whatever_people_do_the_log_only_grows_and_says_what_a_list_of_labels_would(tmp_path_factory, steps):
    log = log_in(tmp_path_factory.mktemp("log"))
    done: list[tuple[str, str, str]] = []  # who, sample, label
    before = b""
    for what, who, id, label in steps:
        now = {each: next((said for _, of, said in reversed(done) if of == each), "退款") for each in "12"}
        if what == "give":
            log.give(sample(id, label=now[id]), label, who)
            done.append((who, id, label))
        else:
            mine = [each for each in done if each[0] == who]
            assert (log.undo(who) is None) == (not mine)
            if mine:
                del done[len(done) - 1 - done[::-1].index(mine[-1])]
        after = log.path.read_bytes() if log.path.exists() else b""
        assert after.startswith(before)
        before = after
        expected = [next((said for _, of, said in reversed(done) if of == each), "退款") for each in "12"]
        assert applied(LabelLog(log.path), sample("1"), sample("2")) == (expected, [])
