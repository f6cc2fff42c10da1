"""The n-gram vectors are scikit-learn's, without its import."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from kdsl.fields.features import fit_ngrams, ngram_weights

texts = st.lists(st.text("退款 吗ab\n\t𝄞\ud83d", max_size=20), max_size=5)


@given(texts, texts)
def test_vectors_are_those_of_the_vectorizer_that_was_fitted(learned, asked):
    learned = [*learned, "退款", "退款了"]
    reference = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, lowercase=False, min_df=2)
    expected = reference.fit_transform(learned).toarray()
    weights, matrix = fit_ngrams(learned)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    np.testing.assert_allclose(weights.transform(learned).toarray(), expected, atol=1e-15)
    if asked:
        np.testing.assert_allclose(
            weights.transform(asked).toarray(), reference.transform(asked).toarray(), atol=1e-15
        )  # fmt: skip


def test_no_texts_are_no_rows_and_a_strange_text_is_a_row_of_zeros():
    weights, _ = fit_ngrams(["退款", "退款"])
    assert weights.transform([]).shape == (0, 3)
    assert weights.transform(["", "运费"]).toarray().tolist() == [[0, 0, 0], [0, 0, 0]]


def test_ngrams_that_are_told_apart_by_their_length_alone_are_different_ones():
    """Code points count from 0: without an offset one character would be the same as two of which the first is 0."""
    weights = ngram_weights(["\0", "\0\0", "\0\0\0", "a", "\0a"], np.ones(5))
    assert (weights.transform(["\0", "a", "\0a"]).toarray() > 0).tolist() == [
        [True, False, False, False, False],
        [False, False, False, True, False],
        [True, False, False, True, True],
    ]


def test_ngrams_end_where_a_text_ends():
    weights = ngram_weights(["退款", "款退"], np.ones(2))
    assert weights.transform(["退款", "退款"]).toarray().tolist() == [[1, 0], [1, 0]]
    assert weights.transform(["退", "款", "退款退款"]).toarray()[:2].tolist() == [[0, 0], [0, 0]]


def test_ngrams_that_nobody_looks_for_are_never_found():
    weights = ngram_weights(["", "退款退款"], np.ones(2))
    assert weights.transform(["退款退款", ""]).nnz == 0


@pytest.mark.parametrize("ngrams", [[], ["退", "退"], ["退", 1], ["退"]])
def test_what_cannot_be_weights_of_ngrams_is_refused(ngrams):
    with pytest.raises(ValueError, match="n-grams"):
        ngram_weights(ngrams, np.ones(2))


@given(st.lists(st.text("退款ab\U0010ffff\0", min_size=1, max_size=3), unique=True, min_size=1, max_size=40), texts)
def test_every_ngram_is_found_in_its_own_column_and_no_other(ngrams, asked):
    """However many of them want the same place of the table in which they are looked up."""
    weights = ngram_weights(ngrams, np.ones(len(ngrams)))
    known = {ngram: column for column, ngram in enumerate(ngrams)}
    for text, row in zip(asked, (weights.transform(asked) > 0).toarray().tolist(), strict=True):
        shortened = re.sub(r"\s\s+", " ", text)
        pieces = {shortened[i : i + n] for n in (1, 2, 3) for i in range(len(shortened) - n + 1)}
        assert {column for column, found in enumerate(row) if found} == {known[p] for p in pieces & known.keys()}


def test_many_ngrams_are_looked_up_as_in_a_dict():
    """Thousands of them, of which many want a place that is taken, in a table whose last place is followed by its
    first."""
    letters = [chr(0x4E00 + number) for number in range(3000)]
    ngrams = [*letters, *(a + b for a, b in zip(letters, letters[7:], strict=False))]
    weights = ngram_weights(ngrams, np.ones(len(ngrams)))
    rows, columns, _ = weights.entries([*ngrams, "\u3400", "\u3400\u3401"])
    found = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        found.setdefault(row, set()).add(column)
    known = {ngram: column for column, ngram in enumerate(ngrams)}
    pairs = len(letters)
    assert found == {
        row: {known[piece] for piece in ({ngram, *ngram} if row >= pairs else {ngram})}
        for row, ngram in enumerate(ngrams)
    }
