"""How many samples are in memory at once: measured from what is calculated on, kept for a resumed run."""

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from kdsl.training.portions import Portion, choose, keep, kept, portions, smaller


def shown(found: list[Portion]) -> list[str]:
    return [f"{each.at_once}{'c' * each.checkpointing}" for each in found]


@pytest.mark.parametrize(
    ("batch", "most", "expected"),
    [
        (16, None, ["16", "8", "4", "2", "1", "16c", "8c", "4c", "2c", "1c"]),
        (6, None, ["6", "3", "2", "1", "6c", "3c", "2c", "1c"]),
        (16, 4, ["4", "4c", "2c", "1c"]),
        (16, 5, ["4", "4c", "2c", "1c"]),
        (1, None, ["1", "1c"]),
        (4, 9, ["4", "4c", "2c", "1c"]),
    ],
)
def test_a_step_is_as_large_whatever_fits_and_checkpointing_comes_last(batch, most, expected):
    assert shown(portions(batch, most)) == expected


def chosen(calculated: dict[str, int], measured: dict[str, int | None], limit: int = 100) -> tuple[str, list[str]]:
    candidates = portions(8)
    tried = []

    def measure(portion: Portion) -> int | None:
        [name] = shown([portion])
        tried.append(name)
        return measured[name]

    row = choose(candidates, lambda portion: calculated.get(*shown([portion]), 0), measure, limit)
    return shown(candidates)[row], tried


def test_what_is_calculated_is_measured_and_taken():
    assert chosen({"8": 300, "4": 90}, {"8": 130, "4": 80}) == ("4", ["4", "8"])


def test_a_calculation_that_was_too_careful_is_left_upwards():
    calculated = {"8": 300, "4": 200, "2": 150, "1": 99}
    assert chosen(calculated, {"8": None, "4": 100, "2": 60, "1": 40}) == ("4", ["1", "2", "4", "8"])


def test_one_that_was_too_hopeful_is_left_downwards():
    assert chosen({"8": 99}, {"8": None, "4": 101, "2": 100}) == ("2", ["8", "4", "2"])


def test_checkpointing_is_taken_where_not_even_one_sample_fits_without():
    measured = {"1": 120, "8c": 101, "4c": 90}
    assert chosen({"8": 999, "4": 999, "2": 999, "1": 99}, measured) == ("4c", ["1", "8c", "4c"])


def test_the_least_is_tried_in_training_even_where_nothing_fits():
    calculated = dict.fromkeys(("8", "4", "2", "1", "8c", "4c", "2c", "1c"), 999)
    assert chosen(calculated, {"1c": None}) == ("1c", ["1c"])


def test_what_comes_after_memory_ran_out():
    candidates = portions(4, 4)
    first = smaller(candidates, Portion(4, False, "measured"))
    assert str(first) == "4 at once with activation checkpointing, after memory ran out with more"
    assert shown([smaller(candidates, first)]) == ["2c"]
    assert smaller(candidates, Portion(1, True)) is None


def test_a_resumed_training_finds_what_was_chosen(tmp_path):
    assert kept(tmp_path) is None
    portion = Portion(8, True, "measured")
    keep(tmp_path, portion)
    assert kept(tmp_path) == portion
    (tmp_path / "portion.json").write_text('{"at_once": "many"}')
    assert kept(tmp_path) is None
