"""Machine statistics, apart from the files that people own."""

import pytest

from kdsl.errors import KdslError
from kdsl.rules.statistics import RuleStatistics, read_statistics, wilson_interval, write_statistics


def statistics(id="r-0001", when="a" * 16, **changes) -> RuleStatistics:
    training = {"hits": 9, "correct": 8, "positives": 12, "samples": 100}
    return RuleStatistics(id=id, when=when, training=training, base_rate=0.12, candidates=500, **changes)


def test_written_statistics_are_read_back_by_id_and_conditions(tmp_path):
    path = tmp_path / "statistics.jsonl"
    entries = [statistics("r-0002", reliability=0.7, weight=1.2, held_out={"hits": 5, "correct": 3}), statistics()]
    write_statistics(path, entries)
    read = read_statistics(path)
    assert read["r-0002", "a" * 16] == entries[0]
    assert ("r-0002", "b" * 16) not in read
    assert [line[:14] for line in path.read_text("utf-8").splitlines()] == ['{"id": "r-0001', '{"id": "r-0002']


def test_no_file_no_statistics(tmp_path):
    assert read_statistics(tmp_path / "statistics.jsonl") == {}


def test_a_line_of_another_shape_is_named(tmp_path):
    path = tmp_path / "statistics.jsonl"
    write_statistics(path, [statistics()])
    with path.open("a") as file:
        file.write('{"id": "r-0002", "when": "x", "training": {"hits": -1}}\n')
    with pytest.raises(KdslError, match=r"line 2: training\.hits: Input should be greater than or equal to 0"):
        read_statistics(path)


def test_the_interval_is_wide_for_few_hits():
    assert wilson_interval(3, 3) == (pytest.approx(0.44, abs=0.005), 1.0)
    assert wilson_interval(20, 20) == (pytest.approx(0.84, abs=0.005), 1.0)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    low, high = wilson_interval(5, 10)
    assert low == pytest.approx(1 - high) and 0.2 < low < 0.3
