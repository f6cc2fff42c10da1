"""What is kept about a trained large model: it is never asked in another way than it was trained."""

from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.models.large import LargeModel
from kdsl.models.prompts import Prompts
from kdsl.models.qwen2vl import LargeRecord
from kdsl.sample import Label, Task
from kdsl.vlm.pixels import PixelBudget

REFUNDS = Task("t", (Label("refund"), Label("exchange")))
LAMPS = Task("t", (Label("能否调光"), Label("商品材质")))


def record(task: Task) -> LargeRecord:
    return LargeModel("http://localhost:1/v1", [task], Path(), Prompts(None), PixelBudget(784, 3136), 512).record(
        task, None
    )


def without_language(task: Task) -> LargeRecord:
    """As it was kept when all marks were Chinese."""
    return LargeRecord.model_validate(record(task).model_dump(exclude={"language"}))


def test_a_model_trained_with_chinese_marks_on_an_english_task_is_to_be_trained_again():
    assert (record(REFUNDS).language, record(LAMPS).language) == ("English", "Chinese")
    with pytest.raises(KdslError, match=r'x: trained with another language \("Chinese", now "English"\).*kdsl train'):
        without_language(REFUNDS).require_same(record(REFUNDS), Path("x"))
    without_language(LAMPS).require_same(record(LAMPS), Path("x"))
