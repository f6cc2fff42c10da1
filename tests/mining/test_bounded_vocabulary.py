"""Candidate terms of very many texts: a counter that forgets what is too rare, and nothing else."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining import vocabulary
from kdsl.mining.vocabulary import bounded_counts, build_vocabulary, least_samples
from kdsl.sample import Sample, Turn

SETS = st.lists(st.frozensets(st.sampled_from("abcdefgh")), max_size=60)


@given(SETS, st.integers(1, 12))
def test_no_term_is_lost_that_occurs_in_more_sets_than_there_are_full_buckets(sets, bucket):
    counts, missed = bounded_counts(sets, bucket)
    exact = Counter(term for each in sets for term in each)
    assert missed == len(sets) // bucket
    for term, n in exact.items():
        assert n - missed <= counts[term] <= n
        if n > missed:
            assert term in counts


@given(SETS)
def test_within_one_bucket_it_is_exact(sets):
    counts, missed = bounded_counts(sets, len(sets) + 1)
    assert (counts, missed) == (Counter(term for each in sets for term in each), 0)


def test_what_is_too_rare_is_forgotten_so_that_few_terms_are_held():
    counts, _ = bounded_counts([{f"once{number}", "often"} for number in range(1000)], 10)
    assert set(counts) == {"often"}  # the last bucket is full


@pytest.mark.parametrize(("samples", "least"), [(0, 2), (11_999, 2), (12_000, 3), (64_000, 16), (1_000_000, 250)])
def test_among_very_many_samples_a_candidate_holds_on_more_of_them(samples, least):
    assert least_samples(samples) == least


def test_the_candidates_are_those_of_an_exact_counter(monkeypatch):
    """Words that enough of the texts hold stay, though the counter forgot others on the way."""
    texts = [f"common{number % 3} rare{number}" for number in range(60)]
    table = FieldTable([Sample(str(i), "t", (Turn("user", text),)) for i, text in enumerate(texts)], Sidecars())
    exact = build_vocabulary(table)
    monkeypatch.setattr(vocabulary, "BUCKET", 7)
    bounded = build_vocabulary(table)
    said = {term for condition in exact.conditions for term in condition.terms}
    assert {"common0", "common1", "common2"} <= said
    assert bounded.conditions == exact.conditions
    assert (bounded.coverage == exact.coverage).all()
