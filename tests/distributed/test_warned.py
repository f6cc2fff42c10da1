"""Warnings about many shards are told once for each kind."""

import logging

import pytest

from kdsl.distributed.warned import Warned, collected

LEFT_OUT = "{}: {} samples of other tasks left out ({} with x)"


def test_what_kdsl_warns_with_is_collected_and_not_logged(caplog):
    logger = logging.getLogger("kdsl.data.notes")
    with collected() as found:
        logger.warning("%s: %d rows", "a.jsonl", 3)
        logger.info("unimportant")
    assert found == ["a.jsonl: 3 rows"]
    assert caplog.messages == []
    logger.warning("later")
    assert caplog.messages == ["later"]


def test_logging_goes_on_after_an_error():
    with pytest.raises(ZeroDivisionError), collected():
        raise ZeroDivisionError
    assert logging.getLogger("kdsl").propagate


@pytest.mark.parametrize(
    ("shards", "also"),
    [
        (["a"], ""),
        (["a", "b"], " (and the like in 1 other shard)"),
        (["a", "b", "c7"], " (and the like in 2 other shards)"),
    ],
)
def test_one_kind_is_told_once_with_the_first_of_it(caplog, shards, also):
    warned = Warned()
    for number, shard in enumerate(shards, start=2):
        warned.add(shard, [LEFT_OUT.format(shard, number, number)])
    warned.tell()
    assert caplog.messages == [f"{LEFT_OUT.format('a', 2, 2)}{also}"]


def test_what_was_met_first_makes_no_kind_of_its_own(caplog):
    warned = Warned()
    warned.add("a", ["5 images were taken as without text, the first being x.jpg (no such file)"])
    warned.add("b", ["2 images were taken as without text, the first being y.png (damaged)"])
    warned.add("b", [])
    warned.tell()
    assert caplog.messages == [
        "a: 5 images were taken as without text, the first being x.jpg (no such file) (and the like in 1 other shard)"
    ]


def test_a_shard_counts_once_and_its_first_sentence_is_told(caplog):
    warned = Warned()
    warned.add("a", ["1 thing", "2 thing"])
    warned.tell()
    assert caplog.messages == ["a: 1 thing"]


def test_kinds_without_end_are_counted(caplog):
    warned = Warned()
    warned.add("a", [f"kind {chr(65 + number)}" for number in range(23)])
    warned.tell()
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "there were 3 more kinds of warnings"
