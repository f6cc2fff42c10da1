"""Each text is encoded once: vectors are kept in memory and on disk, and are the same wherever they come from."""

import pickle
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from counting_encoder import CountingEncoder

from kdsl.embeddings import sentence_vectors
from kdsl.embeddings.sentence_vectors import SentenceVectors, require_same_encoder
from kdsl.errors import KdslError
from kdsl.vector_cache import VectorCache

TEXTS = ["退钱给我", "我要退款", "今天天气很好"]


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "run/vectors.sqlite")


def test_a_text_is_encoded_once_however_often_it_stands_there():
    encoder = CountingEncoder()
    vectors = SentenceVectors(encoder)
    found = vectors.of([TEXTS[0], TEXTS[1], TEXTS[0]])
    assert vectors.of([TEXTS[1], TEXTS[2]]).shape == (2, 16)
    assert encoder.asked == [[TEXTS[0], TEXTS[1]], [TEXTS[2]]]
    assert (found[0] == found[2]).all() and (found[0] != found[1]).any()


def test_vectors_have_unit_length_and_those_of_nothing_are_zeros():
    encoder = CountingEncoder()
    found = SentenceVectors(encoder).of([TEXTS[0], "", " \n　", "x"])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 0, 0, 1], atol=1e-6)
    assert found.dtype == np.float32
    assert encoder.asked == [[TEXTS[0], "x"]]
    assert SentenceVectors(encoder).of([]).shape == (0, 16)


def test_what_is_kept_on_disk_is_the_same_to_the_last_bit(cache):
    fresh = SentenceVectors(CountingEncoder(), cache).of(TEXTS)
    encoder = CountingEncoder()
    kept = SentenceVectors(encoder, cache).of(TEXTS)
    assert encoder.asked == []
    assert (fresh == kept).all()
    assert (fresh == SentenceVectors(CountingEncoder()).of(TEXTS)).all()


def test_vectors_of_another_encoder_are_not_taken(cache):
    SentenceVectors(CountingEncoder(), cache).of(TEXTS)
    encoder = CountingEncoder("counting:2")
    SentenceVectors(encoder, cache).of(TEXTS)
    assert encoder.asked == [TEXTS]


def test_an_interruption_loses_no_more_than_a_chunk(cache, monkeypatch):
    monkeypatch.setattr(sentence_vectors, "_CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        SentenceVectors(CountingEncoder(fails_after=2), cache).of(list("一二三四五"))
    encoder = CountingEncoder()
    SentenceVectors(encoder, cache).of(list("一二三四五"))
    assert encoder.asked == [["五"]]


def test_half_a_character_never_reaches_the_encoder():
    encoder = CountingEncoder()
    assert SentenceVectors(encoder).of(["a\ud83d"]).any()
    assert encoder.asked == [["a?"]]


def test_memory_holds_the_latest_vectors_only(monkeypatch):
    monkeypatch.setattr(sentence_vectors, "_HELD", 2)
    encoder = CountingEncoder()
    vectors = SentenceVectors(encoder)
    assert (vectors.of(list("一二三")) == SentenceVectors(encoder).of(list("一二三"))).all()
    encoder.asked.clear()
    vectors.of(list("二三"))
    assert encoder.asked == []
    vectors.of(["一"])
    assert encoder.asked == [["一"]]


def test_what_is_asked_for_often_stays_in_memory(monkeypatch):
    monkeypatch.setattr(sentence_vectors, "_HELD", 2)
    encoder = CountingEncoder()
    vectors = SentenceVectors(encoder)
    for text in "一二三四":
        vectors.of(["您好", text])
    assert encoder.asked == [["您好", "一"], ["二"], ["三"], ["四"]]


def test_vectors_that_leave_memory_take_those_beside_them_along(monkeypatch):
    """A row of an array would hold all of it."""
    vectors = SentenceVectors(CountingEncoder())
    vectors.of(list("一二三"))
    assert all(vector.base is None for vector in vectors._known.values())


def test_without_its_package_kept_vectors_are_used_and_the_others_counted_once(cache, caplog):
    known = SentenceVectors(CountingEncoder(), cache).of(TEXTS[:2])
    vectors = SentenceVectors(CountingEncoder(lacks="a package (pip install it)"), cache)
    assert not vectors.available
    found = vectors.of([TEXTS[0], "", TEXTS[2], "新的", TEXTS[1]])
    assert (found[[0, 4]] == known).all()
    assert (found[1:4] == 0).all()
    vectors.of(["新的", TEXTS[2], "新的"])
    assert vectors.missing == 2
    vectors.tell()
    vectors.tell()
    assert [record.getMessage() for record in caplog.records] == [
        "2 texts have no sentence vector and count as without meaning: encoder `counting` needs a package "
        "(pip install it)"
    ]


def test_what_learns_goes_without_vectors_that_cannot_be_made_and_that_is_said_once(caplog):
    lacking, there = SentenceVectors(CountingEncoder(lacks="a package")), SentenceVectors(CountingEncoder())
    assert there.if_available() is there
    assert lacking.if_available() is lacking.if_available() is None
    assert caplog.messages == ["encoder: counting needs a package; without it all goes on as with none"]


@pytest.mark.parametrize(("trained", "now"), [("counting:1", "counting:2"), ("counting:1", ""), ("", "counting:1")])
def test_vectors_of_another_encoder_than_in_training_are_refused(trained, now):
    vectors = SentenceVectors(CountingEncoder(now)) if now else None
    with pytest.raises(
        KdslError, match=f"^encoder: was {trained or 'none'} in training and is {now or 'none'} now; set"
    ):
        require_same_encoder(trained, vectors)
    require_same_encoder(now, vectors)


def test_what_is_there_is_said_by_the_encoder():
    vectors = SentenceVectors(CountingEncoder("counting:7"))
    assert (vectors.name, vectors.identity, vectors.size, vectors.available) == ("counting", "counting:7", 16, True)


def test_a_worker_process_reads_from_the_cache(cache):
    vectors = SentenceVectors(CountingEncoder(), cache)
    there = vectors.of(TEXTS)
    moved = pickle.loads(pickle.dumps(vectors))
    moved.encoder.asked.clear()
    assert (moved.of(TEXTS) == there).all()
    assert moved.encoder.asked == []


def test_only_long_work_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(sentence_vectors, "_CHUNK", 2)
    monkeypatch.setattr(sentence_vectors, "_LONG", 4)
    told: list[tuple[str, int | None]] = []

    @contextmanager
    def progress(description, total):
        told.append((description, total))
        yield lambda description: told.append((description, None))

    vectors = SentenceVectors(CountingEncoder(), progress=progress)
    vectors.of(list("一二三"))
    assert told == []
    vectors.of(list("甲乙丙丁戊"))
    assert told == [("Encoding sentences", 3), *[("Encoding sentences", None)] * 3]
