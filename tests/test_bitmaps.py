"""Packed bits against plain numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kdsl.bitmaps import WEIGHT_LEVELS, SampleWeights, contains, count, indices, members, pack, pack_indices, unpack

flags = st.integers(1, 200).flatmap(lambda n: arrays(np.bool_, (3, n)))


@given(flags)
def test_unpacking_gives_back_what_was_packed_and_counting_counts_it(rows):
    bits = pack(rows)
    assert bits.dtype == np.uint64 and bits.shape == (3, -(-rows.shape[1] // 64))
    assert (unpack(bits, rows.shape[1]) == rows).all()
    assert (count(bits) == rows.sum(axis=1)).all()


@given(flags)
def test_sets_of_samples_are_combined_bit_by_bit(rows):
    a, b, _ = pack(rows)
    assert (unpack(a & b, rows.shape[1]) == (rows[0] & rows[1])).all()
    assert (unpack(a | b, rows.shape[1]) == (rows[0] | rows[1])).all()


def test_sample_j_is_bit_j_of_its_word():
    rows = np.zeros((1, 130), dtype=bool)
    rows[0, [0, 65, 129]] = True
    assert pack(rows).tolist() == [[1, 2, 2]]


@given(flags)
def test_the_samples_in_a_bitmap_are_told_by_number(rows):
    bits = pack(rows)
    assert [each.tolist() for each in indices(bits)] == [each.tolist() for each in np.nonzero(rows)]
    assert members(bits[0]).tolist() == np.flatnonzero(rows[0]).tolist()


@given(flags)
def test_a_bitmap_is_made_from_the_numbers_of_samples_in_any_order_and_twice(rows):
    of, samples = (np.concatenate([each[::-1], each]) for each in np.nonzero(rows))
    assert (pack_indices(of, samples, *rows.shape) == pack(rows)).all()


@given(flags, st.data())
def test_single_samples_are_looked_up(rows, data):
    asked = data.draw(arrays(np.int64, 5, elements=st.integers(0, rows.shape[1] - 1)))
    assert (contains(pack(rows), asked) == rows[:, asked]).all()
    assert contains(pack(rows[0]), asked).tolist() == rows[0, asked].tolist()
    assert (contains(pack(rows), int(asked[0])) == rows[:, asked[0]]).all()


@given(flags, st.data())
def test_weighted_counts_are_sums_of_weights_in_eighths(rows, data):
    levels = data.draw(arrays(np.int64, rows.shape[1], elements=st.integers(1, WEIGHT_LEVELS)))
    weights = levels / WEIGHT_LEVELS
    expected = (rows * weights).sum(axis=1) if len(set(levels.tolist())) > 1 else rows.sum(axis=1)
    assert np.allclose(SampleWeights(weights).count(pack(rows)), expected)


def test_weights_are_rounded_to_eighths_and_never_to_nothing():
    weights = SampleWeights(np.array([0.001, 0.51, 1.0]))
    each = weights.count(pack(np.eye(3, dtype=bool)))
    assert each.tolist() == [1 / 8, 4 / 8, 1.0]


def test_no_samples_and_no_rows_are_fine():
    assert pack(np.zeros((0, 5), dtype=bool)).shape == (0, 1)
    assert count(pack(np.zeros((2, 5), dtype=bool))).tolist() == [0, 0]
    assert members(pack(np.zeros(0, dtype=bool))).tolist() == []
    assert pack_indices(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), 2, 0).shape == (2, 0)
