"""The question sidecar: answers, thresholds, and the probability that rules see."""

from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.fields.vqa import moved, read_answers
from kdsl.small.questions import choose_threshold

RED = "图中有红色吗？"


def test_the_last_answer_and_the_last_threshold_hold(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(
        f'{{"image": "a.png", "model": "m", "answers": {{"{RED}": 0.9, "宽吗？": 0.2}}}}\n'
        f'{{"question": "{RED}", "model": "m", "threshold": 0.3}}\n'
        f'{{"image": "a.png", "model": "m", "answers": {{"{RED}": 0.7}}}}\n'
        f'{{"question": "{RED}", "model": "m", "threshold": 0.7}}\n'
        f'{{"question": "宽吗？", "model": "another", "threshold": 0.1}}\n'
    )
    answers = read_answers(path).probabilities()["a.png"]
    assert answers == {RED: pytest.approx(0.5), "宽吗？": 0.2}


def test_a_threshold_moves_its_own_probability_to_one_half_and_keeps_the_order() -> None:
    probabilities = [0.0, 0.2, 0.6, 0.8, 0.9, 1.0]
    shown = [moved(p, 0.8) for p in probabilities]
    assert shown[3] == pytest.approx(0.5)
    assert shown == sorted(shown) and shown[2] < 0.5 < shown[4]


@pytest.mark.parametrize(
    "line",
    [
        '{"image": "a.png", "answers": {}}',
        '{"image": "a.png", "model": "m", "answers": {"吗？": 1.5}}',
        '{"image": "a.png", "model": "m", "answers": ["吗？"]}',
        '{"image": 3, "model": "m", "answers": {}}',
        '{"question": "吗？", "model": "m"}',
        '{"question": "吗？", "model": "m", "threshold": true}',
    ],
)
def test_a_record_of_another_shape_is_named_by_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(f'{{"image": "b.png", "model": "m", "answers": {{}}}}\n{line}\n', "utf-8")
    with pytest.raises(KdslError, match=r"questions\.jsonl, line 2: not a record of visual questions"):
        read_answers(path)


def test_the_threshold_parts_two_groups_wherever_the_model_leans() -> None:
    assert 0.02 < choose_threshold([0.01, 0.02, 0.6, 0.7]) < 0.6
    assert choose_threshold([0.03, 0.3, 0.25, 0.02, 0.28, 0.04]) == pytest.approx(0.1, abs=0.02)
    assert 0.7 < choose_threshold([0.99, 0.65, 0.98, 0.7, 0.995]) <= 0.9


def test_answers_that_all_say_the_same_are_not_parted_where_they_lie() -> None:
    assert choose_threshold([0.99, 0.995, 0.999]) == 0.9
    assert choose_threshold([0.001, 0.002, 0.01]) == 0.1
    assert choose_threshold([0.4, 0.4]) == choose_threshold([0.4]) == choose_threshold([]) == 0.5
