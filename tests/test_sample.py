"""What tells samples apart: task and id within a file, content between files; a copy says what it is a copy of."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.sample import Sample, Turn, original_rows

SAMPLE = Sample("7", "shop", (Turn("user", "亮度能调吗"),), label="调光")


def test_samples_of_two_tasks_with_one_id_have_two_keys():
    assert SAMPLE.key == ("shop", "7")
    assert replace(SAMPLE, task="scene").key != SAMPLE.key


def test_the_fingerprint_is_that_of_what_is_seen_not_of_the_label():
    assert replace(SAMPLE, label=None).fingerprint == SAMPLE.fingerprint
    for other in (replace(SAMPLE, turns=()), replace(SAMPLE, images=("a.png",)), replace(SAMPLE, id="8")):
        assert other.fingerprint != SAMPLE.fingerprint


@pytest.mark.parametrize(
    ("sample", "fingerprint"),
    [
        (Sample("1", "shop"), "de6c8c776c59657e3a47e3dac1612a6b"),
        (
            Sample("a-7", "客服", (Turn("user", "我要退款 'x'"),), ("a.jpg",), "退款"),
            "5d64652c721320f502898ddff30db7a3",
        ),
        (
            Sample(
                "2",
                "shop",
                (Turn("user", "where is it?", ("b.png", "c.png")), Turn("agent", "on its way\n")),
                ("b.png", "c.png", "d.png"),
            ),
            "283c4c6c875e4a436d01650ca2437020",
        ),
    ],
)
def test_samples_without_sounds_keep_the_fingerprints_that_logs_hold(sample, fingerprint):
    assert sample.fingerprint == fingerprint


def test_the_fingerprint_changes_with_every_sound_and_where_it_is_heard():
    def heard(in_turn, in_sample):
        turns = tuple(replace(turn, audio=in_turn) for turn in SAMPLE.turns)
        return replace(SAMPLE, turns=turns, audio=in_sample).fingerprint

    others = [heard(("a.wav",), ("a.wav",)), heard((), ("a.wav",)), heard(("b.wav",), ("b.wav",)),
              heard(("a.wav",), ("a.wav", "b.wav")), replace(SAMPLE, images=("a.wav",)).fingerprint]  # fmt: skip
    assert len({SAMPLE.fingerprint, *others}) == 6


def test_copies_stand_for_the_row_of_their_original():
    samples = [
        Sample("a+1", "t"),
        Sample("x", "t", copy_of="a"),
        Sample("a", "t"),
        Sample("a", "other"),
        Sample("y", "other", copy_of="a"),
        Sample("lost 1", "t", copy_of="lost"),
        Sample("lost 2", "t", copy_of="lost"),
    ]
    assert original_rows(samples) == [0, 2, 2, 3, 3, 5, 5]
    assert [sample.source for sample in samples] == ["a+1", "a", "a", "a", "a", "lost", "lost"]


@given(st.lists(st.text(max_size=4)))
def test_no_id_makes_a_sample_a_copy(ids: list[str]):
    assert original_rows([Sample(identity, "t") for identity in ids]) == list(range(len(ids)))
