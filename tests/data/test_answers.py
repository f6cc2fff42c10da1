"""What the agent answers in the end, and samples as they were before."""

from dataclasses import replace

import pytest

from kdsl.data.answers import answer_start, before_answer, check_answers, is_answered
from kdsl.data.checks import check_samples
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("退款"), Label("调光")))
ASKED, ANSWERED = Turn("user", "能退吗", ("a.png",)), Turn("agent", "可以，看图", ("b.png",))


def dialogue(identity: str, *turns: Turn) -> Sample:
    images = tuple(image for turn in turns for image in turn.images)
    return Sample(identity, "shop", turns, images, "退款")


@pytest.mark.parametrize(
    ("turns", "start"),
    [((), 0), ((ASKED,), 1), ((ASKED, ANSWERED), 1), ((ASKED, ANSWERED, ANSWERED), 1), ((ANSWERED, ASKED), 2),
     ((ANSWERED,), 0)],
)  # fmt: skip
def test_the_answer_is_all_that_the_agent_says_in_the_end(turns, start):
    assert answer_start(turns) == start


def test_before_the_answer_there_are_no_words_and_no_images_of_it():
    whole = dialogue("s", ANSWERED, ASKED, ANSWERED)
    assert before_answer(whole) == replace(whole, turns=(ANSWERED, ASKED), images=("b.png", "a.png"))


def test_images_that_no_turn_has_stay():
    assert before_answer(Sample("s", "shop", (ANSWERED,), ("page.png", "b.png"))).images == ("page.png",)
    assert before_answer(Sample("s", "shop", (ANSWERED,), ("page.png",))).images == ("page.png",)


def test_before_the_answer_nobody_hears_it():
    answer = Turn("agent", "", (), ("b.wav", "a.wav"))
    whole = Sample("s", "shop", (Turn("user", "", (), ("a.wav",)), answer), audio=("a.wav", "b.wav", "a.wav", "c.wav"))
    assert is_answered(whole)
    assert before_answer(whole) == replace(whole, turns=whole.turns[:1], audio=("a.wav", "c.wav"))


def test_a_sample_without_an_answer_is_the_same_before_it():
    sample = dialogue("s", ANSWERED, ASKED)
    assert before_answer(sample) is sample


def test_an_answer_has_words():
    assert is_answered(dialogue("s", ASKED, ANSWERED))
    assert not is_answered(dialogue("s", ASKED, Turn("agent", " ")))
    assert not is_answered(dialogue("s", ANSWERED, ASKED))


def split(answered: int, plain: int) -> list[Sample]:
    return [
        *(dialogue(f"a{i}", ASKED, ANSWERED) for i in range(answered)),
        *(dialogue(f"p{i}", ASKED) for i in range(plain)),
    ]


@pytest.mark.parametrize(
    ("train", "test", "found"),
    [((5, 5), (2, 8), True), ((5, 5), (3, 7), False), ((4, 6), (0, 10), False), ((10, 0), (4, 6), True),
     ((10, 0), (5, 5), False), ((5, 5), (0, 0), False)],
)  # fmt: skip
def test_answers_in_training_that_test_samples_lack_are_a_finding(train, test, found):
    findings = list(check_answers({"train": split(*train), "test": split(*test)}, [TASK]))
    assert bool(findings) == found


def test_the_finding_says_how_many_and_what_to_do():
    [finding] = check_answers({"train": split(3, 1), "test": split(0, 2)}, [TASK])
    assert (finding.kind, finding.split, finding.task, finding.count) == ("no-answer", "test", "shop", 2)
    assert finding.examples == ("p0", "p1")
    assert finding.message == (
        "dialogues do not end with an answer of the agent, as 3 of 4 training ones do; where predictions are made "
        "before the agent answers, set fields.last_agent: false"
    )


def test_images_without_words_are_no_dialogues():
    pictures = [Sample(f"i{n}", "shop", (), ("a.png",)) for n in range(9)]
    assert list(check_answers({"train": [*split(2, 0), *pictures], "test": [*split(2, 0), *pictures]}, [TASK])) == []
    assert list(check_answers({"train": split(2, 0)}, [TASK])) == []


@pytest.mark.parametrize(("left_out", "found"), [((), True), (("last_agent",), False)])
def test_what_is_left_out_cannot_be_missed(left_out, found):
    splits = {"train": split(4, 0), "test": split(0, 4)}
    report = check_samples(splits, [TASK], None, left_out=left_out)
    assert ("no-answer" in {finding.kind for finding in report.findings}) == found
