"""Counts of what a service decided, and the decisions worth a look: all at once, or in parts that are joined."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.project.decision_log import LoggedDecision
from kdsl.review.decision_tally import BINS, SHOWN, Seen, Tally, opening

START = datetime(2026, 11, 30, tzinfo=UTC)


def logged(number=0, label="调光", probability=0.7, by="model", rules=(), sample=None):
    at = START + timedelta(seconds=number)
    return LoggedDecision(at, f"s{number}", "shop", label, probability, by, "调光", rules, f"f{number}", {}, sample)


def test_it_counts_by_label_by_whom_and_by_rule():
    tally = Tally.of(
        [
            logged(0, "调光", by="rules", rules=("r-lamp",)),
            logged(1, "材质", rules=("r-lamp", "r-linen")),
            logged(2, "材质"),
            logged(3, None, by="abstained"),
        ]
    )
    assert tally.decisions == 4
    assert tally.by == {"rules": 1, "model": 2, "abstained": 1}
    assert tally.labels == {"调光": 1, "材质": 2}  # nothing for what a person decides
    assert tally.rules == {"r-lamp": 2, "r-linen": 1}
    assert (tally.without_rule, tally.labels_without_rule) == (2, {"材质": 1})
    assert [seen.id for seen in tally.latest_without_rule] == ["s3", "s2"]


def test_of_several_labels_each_counts_and_none_is_one_too():
    tally = Tally.of([logged(0, ("调光", "材质"), None), logged(1, (), None)])
    assert tally.labels == tally.labels_without_rule == {"调光": 1, "材质": 1, "no label": 1}
    assert tally.confidence == {} and tally.least_sure == []
    assert [seen.label for seen in tally.latest_without_rule] == ["no label", "调光 + 材质"]


@pytest.mark.parametrize("probability,step", [(0.0, 0), (0.049, 0), (0.05, 1), (0.5, 10), (0.999, 19), (1.0, 19)])
def test_a_probability_lies_in_its_bin(probability, step):
    assert Tally.of([logged(probability=probability, by="rules")]).confidence == {("rules", step): 1}
    assert step < BINS


def test_the_least_sure_ones_come_first_and_no_more_than_a_list_shows():
    tally = Tally.of([logged(i, probability=1 - i / 100) for i in range(3 * SHOWN)])
    assert [seen.id for seen in tally.least_sure] == [f"s{i}" for i in range(3 * SHOWN - 1, 2 * SHOWN - 1, -1)]
    assert [seen.id for seen in tally.latest_without_rule] == [f"s{i}" for i in range(59, 39, -1)]


decisions = st.lists(
    st.builds(
        logged, st.integers(0, 9), st.sampled_from(["调光", "材质", None, (), ("调光", "材质")]),
        st.one_of(st.none(), st.floats(0, 1)), st.sampled_from(["model", "rules", "other", "abstained"]),
        st.sampled_from([(), ("r-lamp",), ("r-lamp", "r-linen")]),
    ),
    max_size=90,
)  # fmt: skip


@given(decisions, st.integers(0, 90))
def test_parts_that_are_joined_are_the_whole(made, at):
    whole, joined = Tally.of(made), Tally()
    joined.merge(Tally.of(made[:at]))
    joined.merge(Tally.of(made[at:]))
    assert joined == whole
    assert whole.decisions == len(made) == sum(whole.by.values())


def test_a_tally_that_was_joined_to_another_stays_as_it_was():
    part, total = Tally.of([logged(0)]), Tally()
    total.merge(part)
    total.merge(Tally.of([logged(1)]))
    assert part == Tally.of([logged(0)])


def test_what_a_sample_says_is_shown_where_the_log_holds_it():
    turns = [{"role": "user", "text": "退款\n在哪"}, {"role": "agent", "text": " "}, {"role": "user", "text": "急"}]
    assert Seen.of(logged(sample={"turns": turns})).text == "退款 在哪 / 急"
    assert Seen.of(logged()).text == ""


@pytest.mark.parametrize("sample", [{}, {"turns": None}, {"turns": ["a", {"text": 3}]}, {"turns": "ab"}])
def test_a_sample_of_another_form_says_nothing(sample):
    assert Seen.of(logged(sample=sample)).text == ""


@given(st.lists(st.text(), max_size=5))
def test_an_opening_is_one_short_line(texts):
    assert "\n" not in opening(texts)
    assert len(opening([*texts, "长" * 9000])) <= 401


def test_a_long_text_is_cut():
    assert opening(["长" * 500]) == "长" * 400 + "…" and opening(["长" * 400]) == "长" * 400
