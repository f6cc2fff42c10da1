"""The n-gram vectors are scikit-learn's, without its import."""

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
