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


@pytest.mark.parametrize("tuned", ["../joint", "/etc", "..", ".hidden", "a/b", ""])
def test_what_was_fine_tuned_lies_in_the_checkpoint(tmp_path, tuned):
    text = record(LAMPS).model_dump_json().replace('"tuned":null', f'"tuned":"{tuned}"')
    (tmp_path / "large.json").write_text(text, encoding="utf-8")
    with pytest.raises(KdslError, match=r"large\.json: tuned: .* is not the name of a folder in <checkpoint>/large"):
        LargeRecord.load(tmp_path)


def test_no_link_in_the_checkpoint_leads_to_other_weights(tmp_path):
    (tmp_path / "run/large").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run/large/joint").symlink_to(tmp_path / "elsewhere")
    model = LargeModel("m", [LAMPS], tmp_path / "run", Prompts(None), PixelBudget(784, 3136), 512)
    with pytest.raises(KdslError, match="'joint' leads outside"):
        model.tuned_folder("joint")
