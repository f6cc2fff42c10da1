"""An approval in numbers: which decisions an accepted rule turns, of an unsure model and of a sure one."""

import numpy as np
import pytest

from kdsl.arbiter.fit import fit_arbiter
from kdsl.arbiter.trained import TrainedTask
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import Archive
from kdsl.mining.reliability import FEATURES, Reliability
from kdsl.models.classifier import Predicted
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Review, Rule, When
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("调光"), Label("材质"), Label("物流"), Label("退款")))
TRUTH = np.arange(48) % 4
WHEN = When(all=(Condition(field="user", terms=("亮度",)),))
RULE = Rule(id="r-aaaa", label="调光", when=WHEN)
ACCEPTED = RULE.model_copy(update={"status": "accepted", "review": Review(by="小王", of=RULE.when_hash)})


def decided(rule: Rule, right: int, wrong: int, said: tuple[float, float], new: tuple[float, float]):
    """The decision on a new sample that the rule hits.

    In training it was right on `right` samples and wrong on `wrong`; there the model gives 调光 the probability
    `said[0]` and 材质 `said[1]`, on the new sample those of `new`, and the rest to the others. Elsewhere it gives the
    true label 0.7.
    """
    hit = np.zeros(48, dtype=bool)
    hit[np.flatnonzero(TRUTH == 0)[:right]] = True
    hit[np.flatnonzero(TRUTH == 1)[:wrong]] = True
    model = np.where(np.eye(4)[TRUTH] > 0, 0.7, 0.1)
    model[hit] = spread(said)
    rows = [Sample(f"s{i}", "shop", (Turn("user", "亮度" if each else "您好"),)) for i, each in enumerate(hit)]
    archive = Archive(
        task="shop", seed=0, reliability=Reliability(1.0, (0.0,) * len(FEATURES)),
        least_precision=0.0, base_rates={name: 0.25 for name in TASK.label_names},
        samples=tuple(row.id for row in rows), folds=tuple(i // 4 % 3 for i in range(48)), held_out=((), (), ()),
    )  # fmt: skip
    arbiter = fit_arbiter(TASK, FieldTable(rows, Sidecars()), TRUTH, model, archive, [rule], {}, seed=0)
    task = TrainedTask(TASK, Saying(spread(new)), (rule,), arbiter)
    [decision] = task.decide(FieldTable([Sample("new", "shop", (Turn("user", "亮度"),))], Sidecars()))
    return decision


def spread(said: tuple[float, float]) -> list[float]:
    return [*said, (1 - sum(said)) / 2, (1 - sum(said)) / 2]


class Saying:
    """A classifier that says the same of every sample."""

    def __init__(self, said: list[float]) -> None:
        self._said = said

    def predict(self, table: FieldTable) -> Predicted:
        return Predicted(np.tile(self._said, (len(table), 1)))


UNSURE = (0.2, 0.5)
"""What an unsure model gives the label of the rule, and another one."""


def test_an_accepted_rule_with_a_clean_record_decides_against_an_unsure_model():
    """12 of 12, where the model gave the label 0.2, too."""
    decision = decided(ACCEPTED, 12, 0, UNSURE, UNSURE)
    assert (decision.model_label, decision.label, decision.by) == ("材质", "调光", "rules")
    assert decision.merged[0] > 0.6


def test_one_that_nobody_accepted_does_not_decide_alone():
    decision = decided(RULE, 0, 0, UNSURE, UNSURE)
    assert (decision.label, decision.by) == ("材质", "model")


@pytest.mark.parametrize("rule", [RULE, ACCEPTED])
def test_a_rule_with_a_mixed_record_does_not_decide_against_a_model_that_is_sure(rule):
    decision = decided(rule, 6, 6, UNSURE, (0.01, 0.97))
    assert (decision.label, decision.by) == ("材质", "model")


def test_a_rule_that_knows_what_the_model_knows_adds_little():
    """12 of 12 on samples that the model gives to the label at 0.95 anyway."""
    [known], [news] = (
        [each.weight for each in decided(ACCEPTED, 12, 0, said, UNSURE).rules] for said in ((0.95, 0.02), UNSURE)
    )
    assert known < news - 0.5
