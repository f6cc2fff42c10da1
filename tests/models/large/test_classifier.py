"""A large model as classifier: it is never asked in another way than it was trained, and answers row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.large.classifier import LargeClassifier
from kdsl.models.large.model import LargeModel
from kdsl.models.large.prompts import Prompts
from kdsl.models.large.record import LargeRecord
from kdsl.models.large.weights import LargeWeights
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.vlm.conversation import Conversation
from kdsl.vlm.model import Generation, Scores
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.usage import Cost, Limits, Usage

REFUNDS = Task("t", (Label("refund"), Label("exchange")))
LAMPS = Task("t", (Label("能否调光"), Label("商品材质")))


def record(task: Task) -> LargeRecord:
    weights = LargeWeights("http://localhost:1/v1", Path(), PixelBudget(784, 3136), 512)
    return LargeModel(weights, [task], Prompts(None)).record(task, None)


def without_language(task: Task) -> LargeRecord:
    """As it was kept when all marks were Chinese."""
    return LargeRecord.model_validate(record(task).model_dump(exclude={"language"}))


def test_a_model_trained_with_chinese_marks_on_an_english_task_is_to_be_trained_again():
    assert (record(REFUNDS).language, record(LAMPS).language) == ("English", "Chinese")
    with pytest.raises(
        KdslError, match=r'x: trained with another language \("Chinese", now "English"\); set it back, or call'
    ):
        without_language(REFUNDS).require_same(record(REFUNDS), Path("x"))
    without_language(LAMPS).require_same(record(LAMPS), Path("x"))


@dataclass(frozen=True)
class Echo:
    """A model whose reason is the last line that it is asked with, and to which all labels are alike."""

    identity: str = "echo"

    def sees(self) -> bool:
        return True

    def hears(self) -> bool:
        return False

    def generate(self, conversations: Sequence[Conversation], most: int, choices=None, stop=None) -> list[Generation]:
        return [Generation(str(each[-1].pieces[-1]).strip(), 5) for each in conversations]

    def score(self, conversations: Sequence[Conversation], options: Sequence[str], ended: bool = True) -> Scores:
        n, ones = len(conversations), np.ones(len(conversations), dtype=np.int64)
        return Scores(np.zeros((n, len(options))), np.ones(len(options), dtype=np.int64), ones, ones, 0 * ones)


def reasoning(task: Task, usage: Usage) -> LargeClassifier:
    about = record(task).model_copy(update={"target": "reason_label"})
    return LargeClassifier(task, Echo(), Prompts(None), about, 2, 1, usage)


def asked(task: Task, *texts: str) -> FieldTable:
    """Samples 0, 1, … of the task."""
    rows = [Sample(str(i), task.name, (Turn("user", text),)) for i, text in enumerate(texts)]
    return FieldTable(rows, Sidecars())


def test_costs_and_reasons_come_back_by_row_whatever_the_samples_of_another_task_are_called():
    tasks = [Task(name, LAMPS.labels, "{dialogue}") for name in ("intent", "scene")]
    usage = Usage(Limits(calls=2, tokens=100))
    first, second = (reasoning(task, usage) for task in tasks)
    usage.charge(("scene", "0"), Cost(dropped=1))
    said = first.predict(asked(tasks[0], "灯能调吗", "是棉的吗"))
    other = second.predict(asked(tasks[1], "看图一", "看图二"))
    assert said.reasons == ("用户: 灯能调吗", "用户: 是棉的吗")
    assert other.reasons == ("用户: 看图一", "用户: 看图二")
    assert list(said.costs) == [Cost(2, 6)] * 2
    assert list(other.costs) == [Cost(2, 6, 1), Cost(2, 6)]
    assert said.answered is None
    with pytest.raises(KdslError, match="sample '1' of intent: 2 more model"):
        first.predict(asked(tasks[0], "").joined(asked(tasks[0], "", "")).select([2]))


def test_samples_of_one_id_in_one_table_have_each_its_own_reason():
    task = Task("intent", LAMPS.labels, "{dialogue}")
    table = asked(task, "灯能调吗").joined(asked(task, "是棉的吗"))
    assert reasoning(task, Usage()).predict(table).reasons == ("用户: 灯能调吗", "用户: 是棉的吗")


def test_a_model_that_writes_no_reasons_has_none():
    task = Task("intent", LAMPS.labels, "{dialogue}")
    plain = LargeClassifier(task, Echo(), Prompts(None), record(task), 2)
    assert plain.predict(asked(task, "灯能调吗")).reasons is None
    assert plain.predict(asked(task)).probabilities.shape == (0, 2)


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
    weights = LargeWeights("m", tmp_path / "run", PixelBudget(784, 3136), 512)
    with pytest.raises(KdslError, match="'joint' leads outside"):
        weights.tuned_folder("joint")
