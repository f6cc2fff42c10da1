"""Silence is skipped, and long sounds are cut where it is quiet; nothing that can be heard is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import RATE, silence, tone

from kdsl.audio.pieces import LONGEST_PIECE, pieces_of


def blocks(*parts: np.ndarray, size: int = RATE) -> list[np.ndarray]:
    sound = np.concatenate(parts)
    return [sound[start : start + size] for start in range(0, len(sound), size)]


def spans(*parts: np.ndarray, longest: float = LONGEST_PIECE) -> list[tuple[float, float]]:
    """Seconds at which pieces begin and end."""
    return [(round(p.start, 2), round(p.start + p.seconds, 2)) for p in pieces_of(blocks(*parts), longest)]


def noise(seconds: float, loudness: float = 0.02) -> np.ndarray:
    return np.random.default_rng(0).normal(0, loudness, int(seconds * RATE)).astype(np.float32)


def test_silence_around_what_is_heard_is_skipped_but_for_a_quarter_of_a_second():
    assert spans(silence(2), tone(1), silence(3)) == [(1.76, 3.24)]
    assert spans(tone(1)) == [(0.0, 1.0)]
    assert spans(silence(70)) == spans(np.zeros(0, np.float32)) == []


def test_a_pause_of_more_than_a_second_parts_pieces_and_a_shorter_one_does_not():
    assert spans(tone(1), silence(0.9), tone(1), silence(2)) == [(0.0, 3.14)]
    assert spans(tone(1), silence(1.2), tone(1), silence(2)) == [(0.0, 1.24), (1.96, 3.44)]


def test_a_click_is_no_word_and_a_short_sound_is_one():
    assert spans(silence(1), tone(0.04), silence(1)) == []
    assert spans(silence(1), tone(0.12), silence(1)) == [(0.76, 1.36)]


def test_quiet_speech_is_heard_where_everything_else_is_quieter():
    assert spans(silence(1), tone(1, loudness=0.002), silence(1)) == [(0.76, 2.24)]
    assert spans(silence(1), tone(1, loudness=0.0005), silence(1)) == []


def test_noise_under_speech_is_skipped_only_where_it_is_much_quieter():
    around = noise(20, 0.001)
    around[8 * RATE : 9 * RATE] += tone(1)
    assert spans(around) == [(7.76, 9.24)]
    assert spans(noise(20)) == [(0.0, 20.0)]  # nobody knows whether that is noise alone


def test_what_lasts_long_is_cut_in_its_quietest_place():
    long = np.concatenate([tone(25), tone(0.5, loudness=0.1), tone(30), silence(5)])
    first, *others = spans(long)
    assert first[0] == 0.0 and 25.0 <= first[1] <= 25.5
    assert [start for start, _ in others] == [end for _, end in [first, *others][:-1]]
    assert others[-1][1] == pytest.approx(55.74, abs=0.02)
    assert all(end - start <= LONGEST_PIECE for start, end in [first, *others])


def test_what_begins_at_the_end_of_a_window_stays_whole():
    assert spans(silence(29.5), tone(3), silence(4)) == [(29.26, 32.74)]
    assert spans(silence(29.9), tone(0.2), silence(40)) == [(29.66, 30.34)]


def test_pieces_are_the_sound_itself():
    sound = np.concatenate([silence(2), tone(1), silence(2)])
    [piece] = pieces_of([sound])
    assert np.array_equal(piece.samples, sound[round(piece.start * RATE) :][: len(piece.samples)])
    assert piece.samples.dtype == np.float32


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.2, 9.0), st.floats(0.0, 5.0)), min_size=1, max_size=8),
    st.integers(1000, 50_000),
    st.sampled_from([3.0, 7.5, 30.0]),
)
def test_pieces_are_in_order_short_enough_and_hold_everything_loud_whatever_the_blocks(parts, size, longest):
    sound = np.concatenate([part for loud, quiet in parts for part in (tone(loud), silence(quiet))])
    found = list(pieces_of(blocks(sound, size=size), longest))
    assert [(p.start, len(p.samples)) for p in found] == [
        (p.start, len(p.samples)) for p in pieces_of(blocks(sound, size=777_777), longest)
    ]
    heard = np.zeros(len(sound), bool)
    behind = 0
    for piece in found:
        start = round(piece.start * RATE)
        assert start >= behind and piece.seconds <= longest
        behind = start + len(piece.samples)
        heard[start:behind] = True
    assert heard[np.abs(sound) > 0.01].all()
