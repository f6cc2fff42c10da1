"""Feedback is kept in an append-only log that holds the samples it is about; what was said last counts."""

import json
import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.data.feedback import FeedbackLog, right_answer
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("退款"), Label("物流"), Label("其他")))
WITH_OTHER = replace(TASK, other="其他")
SEVERAL = replace(TASK, multi=True)
REMEDY = "; restore the file from git, or take the line out"


def sample(id: str = "1", text: str = "多久到") -> Sample:
    return Sample(id, "shop", (Turn("user", text),))


def log_in(folder: Path) -> FeedbackLog:
    return FeedbackLog(folder / "feedback.jsonl", lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def lines(log: FeedbackLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text("utf-8").splitlines()]


def said(log: FeedbackLog) -> list[tuple[str, object]]:
    """Id and answer of each sample."""
    return [(word.sample.id, word.sample.answer) for word in log.words()]


class TestGiving:
    def test_one_line_holds_who_said_what_when_and_the_sample_itself(self, tmp_path):
        log = log_in(tmp_path)
        turns = Turn("user", "什么时候\n到", ("a.png",)), Turn("agent", "明天")
        event = log.give(Sample("1", "shop", turns, ("a.png",)), "物流", "小王", TASK, "退款", ["r-1", "r-2"])
        assert lines(log) == [
            {
                "event": event.event,
                "at": "2026-01-02T03:04:05.000000+00:00",
                "by": "小王",
                "task": "shop",
                "id": "1",
                "label": "物流",
                "predicted": "退款",
                "rules": ["r-1", "r-2"],
                "sample": {
                    "id": "1",
                    "task": "shop",
                    "turns": [
                        {"role": "user", "text": "什么时候\n到", "images": ["a.png"]},
                        {"role": "agent", "text": "明天"},
                    ],
                    "images": ["a.png"],
                },
            }
        ]
        [word] = FeedbackLog(log.path).words()
        assert word.sample == Sample("1", "shop", turns, ("a.png",), label="物流")
        assert word.event == event

    def test_the_sounds_of_a_sample_are_kept_and_read_again(self, tmp_path):
        log = log_in(tmp_path)
        given = Sample("1", "shop", (Turn("user", "", (), ("a.wav",)),), (), audio=("a.wav", "b.amr"))
        log.give(given, "退款", "王", TASK)
        assert lines(log)[0]["sample"]["audio"] == ["a.wav", "b.amr"]
        assert FeedbackLog(log.path).words()[0].sample == replace(given, label="退款")

    @pytest.mark.parametrize(
        ("audio", "problem"),
        [
            (["../a.wav"], "'../a.wav' leads outside data.audio"),
            (["b.wav"], "the sound 'a.wav' of a turn is not among the sounds of the sample"),
        ],
    )
    def test_a_line_with_wrong_sounds_is_an_error(self, tmp_path, audio, problem):
        log = log_in(tmp_path)
        log.give(Sample("1", "shop", (Turn("user", "", (), ("a.wav",)),), audio=("a.wav",)), "退款", "王", TASK)
        [line] = lines(log)
        log.path.write_text(json.dumps({**line, "sample": {**line["sample"], "audio": audio}}) + "\n")
        with pytest.raises(KdslError, match=r"line 1: ") as raised:
            FeedbackLog(log.path).words()
        assert problem in str(raised.value)

    def test_what_the_sample_was_labelled_or_a_copy_of_is_not_kept(self, tmp_path):
        log = log_in(tmp_path)
        log.give(replace(sample(), label="退款", copy_of="0"), "物流", "王", TASK)
        assert log.words()[0].sample == replace(sample(), label="物流")

    @pytest.mark.parametrize(
        ("task", "label", "answer"),
        [
            (TASK, "退款", "退款"),
            (WITH_OTHER, "退款", "退款"),
            (WITH_OTHER, None, "其他"),
            (SEVERAL, ["物流", "退款", "物流"], ("退款", "物流")),
            (SEVERAL, ("物流",), ("物流",)),
            (SEVERAL, "物流", ("物流",)),
            (SEVERAL, [], ()),
        ],
    )
    def test_an_answer_is_a_label_several_or_none_of_them_as_the_task_has_it(self, tmp_path, task, label, answer):
        log = log_in(tmp_path)
        assert right_answer(label, task) == answer
        log.give(sample(), label, "王", task)
        assert said(log) == [("1", answer)]

    @pytest.mark.parametrize(
        ("task", "label", "told"),
        [
            (TASK, "木头", "the label '木头' is none of the labels of shop; write one of 退款, 物流, 其他"),
            (TASK, "退款 ", "the label '退款 ' is none of the labels of shop; write '退款', without spaces around it"),
            (TASK, None, "shop has no label for what belongs to none of the others; give one of 退款, 物流, 其他"),
            (TASK, 3, "a sample of shop has one label, not 3; give one of 退款, 物流, 其他"),
            (SEVERAL, [3], "the label 3 is none of the labels of shop; write one of 退款, 物流, 其他"),
            (SEVERAL, {"退款": 1}, "samples of shop may have several labels; give a list of those that hold, or []"),
            (TASK, ["退款"], "a sample of shop has one label, not ['退款']; give one of 退款, 物流, 其他"),
            (
                SEVERAL,
                ["退款", "木头"],
                "the label '木头' is none of the labels of shop; write one of 退款, 物流, 其他",
            ),
            (SEVERAL, None, "samples of shop may have several labels; give a list of those that hold, or []"),
        ],
    )
    def test_what_is_no_answer_is_one_sentence_and_leaves_no_file(self, tmp_path, task, label, told):
        log = log_in(tmp_path)
        with pytest.raises(KdslError) as caught:
            log.give(sample(), label, "王", task)
        assert str(caught.value) == told
        assert not log.path.exists()

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            (" ", "who gives a label has no name; give one as `by`"),
            ("王\ntrain: all", "'王\\ntrain: all' is no name of a person; give one as `by`, of one line"),
            ("王" * 101, f"'{'王' * 56}… is no name of a person; give one as `by`, of one line"),
        ],
    )
    def test_who_gives_it_needs_a_name(self, tmp_path, name, told):
        log = log_in(tmp_path)
        with pytest.raises(KdslError) as caught:
            log.give(sample(), "物流", name, TASK)
        assert str(caught.value) == told
        assert not log.path.exists()
        assert log.give(sample(), "物流", "王" * 100, TASK).by == "王" * 100

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            (replace(sample(), images=("../../secret.png",)), "leads outside data.images"),
            (sample(text="\ud83d"), "half a character"),
            (Sample("1", "shop", (Turn("user", "?", ("a.png",)),)), "'a.png' of a turn is not among the images"),
        ],
    )
    def test_what_could_not_be_read_again_is_never_written(self, tmp_path, wrong, told):
        log = log_in(tmp_path)
        log.give(sample(), "物流", "王", TASK)
        before = log.path.read_bytes()
        with pytest.raises(KdslError, match=f"feedback.jsonl: .*{told}.*; nothing was saved"):
            log.give(wrong, "物流", "王", TASK)
        assert log.path.read_bytes() == before


class TestLastWord:
    def test_each_sample_has_one_and_ids_alone_do_not_make_a_sample(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王", TASK)
        log.give(sample("1", "怎么退"), "退款", "王", TASK)
        log.give(sample("1"), "退款", "王", TASK)
        assert said(log) == [("1", "退款"), ("1", "退款")]
        assert [word.number for word in log.words()] == [0, 1]

    def test_what_other_people_say_otherwise_is_known(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample(), "物流", "王", TASK)
        log.give(sample(), "退款", "李", TASK)
        log.give(sample(), "物流", "赵", TASK)
        [word] = log.words()
        assert [(event.by, event.label) for event in word.events] == [("李", "退款"), ("赵", "物流")]

    def test_who_changes_their_mind_contradicts_nobody(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample(), "物流", "王", TASK)
        log.give(sample(), "退款", "王", TASK)
        [word] = log.words()
        assert (word.sample.label, word.others) == ("退款", ())

    def test_a_new_id_depends_on_the_sample_alone(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample(), "物流", "王", TASK)
        [word] = log.words()
        assert word.renamed.sample == replace(word.sample, id=f"1~{sample().fingerprint[:8]}")
        assert word.renamed.event == word.event


class TestUndo:
    def test_takes_back_the_last_of_that_person_so_that_what_was_said_before_counts(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample(), "物流", "王", TASK)
        second = log.give(sample(), "退款", "王", TASK)
        log.give(sample("2"), "退款", "李", TASK)
        assert log.undo("王") == second
        assert said(log) == [("1", "物流"), ("2", "退款")]
        assert lines(log)[-1] == {
            "event": lines(log)[-1]["event"], "at": "2026-01-02T03:04:05.000000+00:00", "by": "王", "task": "shop",
            "id": "1", "undoes": second.event,
        }  # fmt: skip
        log.undo("王")
        assert said(log) == [("2", "退款")]
        assert log.undo("王") is None
        assert len(lines(log)) == 5

    def test_leaves_the_numbers_of_others_of_that_id(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王", TASK)
        log.give(sample("1", "怎么退"), "退款", "李", TASK)
        log.undo("王")
        assert [(word.sample.label, word.number) for word in log.words()] == [("退款", 1)]


class TestFile:
    def test_no_file_holds_nothing(self, tmp_path):
        log = log_in(tmp_path)
        assert (log.events(), log.words(), log.undo("王")) == ([], [], None)
        assert not log.path.exists()

    @pytest.mark.parametrize("torn", [b"{", b'{"event": "0123', '{"event": "012345678901", "by": "王'.encode()[:-1]])
    def test_a_line_that_an_interruption_tore_is_taken_away(self, tmp_path, torn):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王", TASK)
        whole = log.path.read_bytes()
        with log.path.open("ab") as file:
            file.write(torn)
        assert said(FeedbackLog(log.path)) == [("1", "物流")]
        assert log.path.read_bytes() == whole

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"label": 3}, "label"),
            ({"label": None}, "an event has a label and a sample, or names the event that it takes back"),
            ({"sample": None}, "an event has a label and a sample, or names the event that it takes back"),
            ({"undoes": "0" * 12}, "what takes an event back has no label, prediction, rules or sample of its own"),
            ({"id": "2"}, "the sample is '1' of shop, not '2' of shop"),
            ({"task": "other"}, "the sample is '1' of shop, not '1' of other"),
            ({"at": "yesterday"}, "at: Invalid isoformat string: 'yesterday'"),
            ({"event": "../../etc"}, "event: String should match pattern"),
            ({"more": 1}, "more: Extra inputs are not permitted"),
            ({"sample": {"id": "1", "task": "shop", "label": "退款"}}, "sample.label: Extra inputs are not permitted"),
            ({"sample": {"id": "1", "task": "shop", "images": ["/etc/passwd"]}}, "sample.images: '/etc/passwd'"),
            ({"sample": {"id": "1", "task": "shop", "turns": [{"role": "bot", "text": "?"}]}}, "sample.turns.0.role"),
        ],
    )
    def test_a_line_changed_by_hand_is_one_sentence_with_its_place(self, tmp_path, change, told):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王", TASK)
        log.path.write_text(log.path.read_text("utf-8") + json.dumps(lines(log)[0] | change) + "\n", "utf-8")
        with pytest.raises(KdslError) as caught:
            FeedbackLog(log.path).events()
        assert str(caught.value).startswith(f"{log.path}, line 2: {told}")
        assert str(caught.value).endswith(REMEDY)

    def test_a_line_that_git_joined_in_twice_counts_once_and_another_one_of_its_id_is_refused(self, tmp_path):
        log = log_in(tmp_path)
        log.give(sample("1"), "物流", "王", TASK)
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
        for use in (log.events, lambda: log.give(sample(), "物流", "王", TASK), lambda: log.undo("王")):
            with pytest.raises(KdslError, match="is a link; a log of labels must be a file of its own"):
                use()
        assert other.read_text("utf-8") == ""


def _give_many(path: Path, who: str, count: int) -> None:
    log = FeedbackLog(path)
    for number in range(count):
        log.give(sample(f"{who}{number}"), "物流", who, TASK)
        if number % 3 == 0:
            log.undo(who)


def test_two_processes_lose_nothing_of_each_other(tmp_path):
    path = tmp_path / "feedback.jsonl"
    context = multiprocessing.get_context("spawn")
    people = [context.Process(target=_give_many, args=(path, who, 12)) for who in ("a", "b")]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert [each.exitcode for each in people] == [0, 0]
    assert sorted(said(FeedbackLog(path))) == sorted(
        (f"{who}{number}", "物流") for who in "ab" for number in range(12) if number % 3
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
EVENT = {
    "event": "0123456789ab", "at": "2026-01-02T03:04:05+00:00", "by": "王", "task": "shop", "id": "1", "label": "物流",
    "predicted": ["物流"], "rules": ["r-1"],
    "sample": {"id": "1", "task": "shop", "turns": [{"role": "user", "text": "?"}], "images": []},
}  # fmt: skip
CHANGED = st.builds(lambda key, value: json.dumps(EVENT | {key: value}), st.sampled_from(sorted(EVENT)), JSON)
LACKING = st.sampled_from(sorted(EVENT)).map(lambda key: json.dumps({k: v for k, v in EVENT.items() if k != key}))
LINE = (st.text(max_size=30) | JSON.map(json.dumps) | CHANGED | LACKING).map(lambda text: " ".join(text.split()))


@settings(max_examples=200)
@given(LINE)
def test_whatever_stands_in_a_line_is_an_event_or_one_sentence_with_its_place(tmp_path_factory, line):
    path = tmp_path_factory.mktemp("log") / "feedback.jsonl"
    before = json.dumps({**EVENT, "event": "a" * 12})
    path.write_bytes(f"{before}\n{line}\n".encode("utf-8", "surrogatepass"))
    try:
        assert len(FeedbackLog(path).words()) <= 2
    except KdslError as error:
        assert str(error).startswith((f"{path}, line 2: ", f"{path}, line 2, column "))
        assert str(error).endswith(REMEDY)
        assert "\n" not in str(error)


STEPS = st.lists(
    st.tuples(st.sampled_from(["give", "undo"]), st.sampled_from("王李"), st.sampled_from("12"),
              st.sampled_from(TASK.label_names)),
    max_size=15,
)  # fmt: skip


@settings(max_examples=30)
@given(STEPS)
def test_whatever_people_do_the_log_only_grows_and_says_what_a_list_would(tmp_path_factory, steps):
    log = log_in(tmp_path_factory.mktemp("log"))
    done: list[tuple[str, str, str]] = []  # who, sample, label
    before = b""
    for what, who, id, label in steps:
        if what == "give":
            log.give(sample(id), label, who, TASK)
            done.append((who, id, label))
        else:
            mine = [each for each in done if each[0] == who]
            assert (log.undo(who) is None) == (not mine)
            if mine:
                del done[len(done) - 1 - done[::-1].index(mine[-1])]
        after = log.path.read_bytes() if log.path.exists() else b""
        assert after.startswith(before)
        before = after
    words = FeedbackLog(log.path).words()
    assert {word.sample.id for word in words} == {id for _, id, _ in done}
    for word in words:
        of_sample = [(who, label) for who, id, label in done if id == word.sample.id]
        last = of_sample[-1][1]
        assert word.sample.label == last
        others = {who: label for who, label in dict(of_sample).items() if label != last}
        assert {event.by: event.label for event in word.others} == others
