"""arbiter.json, and what it says about the rules of a rule base."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from kdsl.arbiter.arbiter import Arbiter, Quality, RuleJudge
from kdsl.arbiter.pool import Pool
from kdsl.arbiter.weighing import Standing
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Review, Rule, When
from kdsl.sample import Sample, Turn


def rule(id_, label, *terms):
    return Rule(id=id_, label=label, when=When(all=(Condition(field="user", terms=terms),)))


DIM, BRIGHT, LINEN = rule("r-dim2", "调光", "变暗"), rule("r-bright", "调光", "亮度"), rule("r-linen", "材质", "棉麻")


def standing(of, reliability, weight):
    return Standing(
        id=of.id, when=of.when_hash, label=of.label, reliability=reliability, hits=10, correct=9, weight=weight,
        accepted_weight=weight + 1,
    )  # fmt: skip


LINEN_STANDING = standing(LINEN, 0.5, 1.0).model_dump()


@pytest.fixture
def arbiter() -> Arbiter:
    return Arbiter(
        task="shop", labels=("调光", "材质"), a=1.0, b_people=0.9, b_mined=0.5, model_a=1.2, samples=20,
        model=Quality(log_loss=0.7, weighted_f1=0.6), both=Quality(log_loss=0.5, weighted_f1=0.7),
        base_rates=(0.5, 0.5), mean_people=2.5,
        rules=(standing(DIM, 0.9, 2.0), standing(BRIGHT, 0.8, 1.5), standing(LINEN, 0.7, 1.0)),
        overlaps=((0, 1, 1.0),),
    )  # fmt: skip


def evidence(arbiter, rules, text):
    table = FieldTable([Sample("a", "shop", (Turn("user", text),))], Sidecars())
    said = RuleJudge(arbiter.weigh(rules), 2).evidence(table)[1]
    return said.people[0].tolist(), said.mined[0].tolist()


def test_what_was_saved_is_read(arbiter, tmp_path):
    arbiter.save(tmp_path)
    assert Arbiter.load(tmp_path) == arbiter
    assert (tmp_path / "arbiter.json").read_text("utf-8") == arbiter.model_dump_json(indent=1) + "\n"
    edge = arbiter.model_copy(update={"b_mined": 0.0, "overlaps": ((0, 2, 0.5),)})
    edge.save(tmp_path)
    assert Arbiter.load(tmp_path) == edge


def test_an_arbiter_does_not_change(arbiter):
    with pytest.raises(ValidationError, match="frozen"):
        arbiter.a = 2.0


def with_b(arbiter, people, mined):
    return arbiter.model_copy(update={"b_people": people, "b_mined": mined})


@pytest.mark.parametrize(
    ("people", "mined", "listens_to", "pool"),
    [
        (0.9, 0.5, "all", Pool(1.0, 0.9, 0.5)),
        (0.9, 0.0, "accepted", Pool(1.0, 0.9, 0.0)),
        (0.0, 0.5, "proposed", Pool(1.0, 0.0, 0.5)),
        (0.0, 0.0, "none", Pool(1.2, 0.0, 0.0)),  # only the model's own temperature counts
    ],
)
def test_what_the_arbiter_listens_to_is_what_has_a_b(arbiter, people, mined, listens_to, pool):
    arbiter = with_b(arbiter, people, mined)
    assert (arbiter.listens_to, arbiter.pool) == (listens_to, pool)
    assert arbiter.record()["listens_to"] == listens_to
    assert arbiter.model_alone == Pool(1.2, 0.0, 0.0)


def test_without_rules_there_is_no_evidence(arbiter):
    for people, mined in ((0.9, 0.5), (0.9, 0.0), (0.0, 0.0)):
        assert evidence(with_b(arbiter, people, mined), [], "变暗") == ([0, 0], [0, 0])


def test_rules_are_weighed_in_the_order_they_come_in(arbiter):
    edited = rule("r-dim2", "材质", "太暗")
    weighed = arbiter.weigh([LINEN, edited, BRIGHT, DIM])
    assert weighed.rules == (LINEN, edited, BRIGHT, DIM)
    assert weighed.labels.tolist() == [1, 1, 0, 0]
    assert weighed.known.tolist() == [True, False, True, True]
    assert weighed.reliability.tolist() == [0.7, 0.5, 0.8, 0.9]
    assert weighed.weights == pytest.approx([1.0, 0, 1.5, 2.0])
    expected = np.zeros((4, 4))
    expected[2, 3] = expected[3, 2] = 1.0
    assert weighed.overlaps.tolist() == expected.tolist()
    linen = arbiter.model_copy(update={"overlaps": ((1, 2, 0.25),)}).weigh([LINEN, edited])
    assert linen.overlaps.tolist() == [[0, 0], [0, 0]]


def test_evidence_is_in_log_odds_and_overlapping_rules_count_once(arbiter):
    assert evidence(arbiter, [DIM, BRIGHT, LINEN], "在吗") == ([0, 0], [0, 0])
    dim = evidence(arbiter, [DIM, BRIGHT, LINEN], "变暗")
    assert dim == ([0, 0], [2.0, 0])
    assert evidence(arbiter, [LINEN, BRIGHT, DIM], "变暗的亮度") == dim


def test_a_rule_edited_since_training_weighs_nothing_and_has_the_base_rate(arbiter):
    edited = rule("r-dim2", "调光", "变暗", "太暗")
    weighed = arbiter.weigh([edited, LINEN])
    assert weighed.known.tolist() == [False, True]
    assert weighed.weights[0] == 0
    assert weighed.reliability.tolist() == [0.5, 0.7]


def test_a_rule_given_another_label_is_another_rule(arbiter):
    assert not arbiter.weigh([rule("r-dim2", "材质", "变暗")]).known[0]


def test_a_rule_of_another_id_with_the_same_conditions_is_known(arbiter):
    assert arbiter.weigh([rule("r-mine", "调光", "变暗")]).reliability.tolist() == [0.9]


def test_where_only_accepted_rules_count_the_others_weigh_nothing(arbiter):
    fresh, stale = (Review(by="小王", of=of) for of in (DIM.when_hash, "0" * 16))
    accepted = DIM.model_copy(update={"status": "accepted", "review": fresh})
    edited = BRIGHT.model_copy(update={"status": "accepted", "review": stale})
    weighed = with_b(arbiter, 0.9, 0.0).weigh([accepted, edited, LINEN])
    assert weighed.weights.tolist() == [3.0, 0, 0]
    assert weighed.people.tolist() == [True, False, False]
    assert with_b(arbiter, 0.0, 0.5).weigh([accepted, edited, LINEN]).weights.tolist() == [0, 1.5, 1.0]
    assert arbiter.weigh([accepted, edited, LINEN]).weights.tolist() == [3.0, 1.5, 1.0]
    assert weighed.reliability.tolist() == [0.9, 0.8, 0.7]
    assert weighed.known.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": -1}, r"arbiter\.json: a: Input should be greater than 0; call project\.train\(\) again"),
        (
            {"version": 1, "merged": True},
            r"arbiter\.json: version 1, this KDSL reads version 3; call project\.train\(\) again",
        ),
        ({"a": 0}, r"arbiter\.json: a: Input should be greater than 0; call project\.train\(\) again"),
        (
            {"b_people": -0.1},
            r"arbiter\.json: b_people: Input should be greater than or equal to 0; call project\.train\(\) again",
        ),
        (
            {"b_mined": -0.1},
            r"arbiter\.json: b_mined: Input should be greater than or equal to 0; call project\.train\(\) again",
        ),
        ({"model_a": 0}, r"arbiter\.json: model_a: Input should be greater than 0; call project\.train\(\) again"),
        ({"colour": 1}, r"arbiter\.json: colour: Extra inputs are not permitted; call project\.train\(\) again"),
        (
            {"rules": [LINEN_STANDING | {"reliability": 1}]},
            r"arbiter\.json: rules\.0\.reliability: Input should be less",
        ),
        (
            {"rules": [LINEN_STANDING | {"reliability": 0}]},
            r"arbiter\.json: rules\.0\.reliability: Input should be gre",
        ),
        (
            {"overlaps": [[1, 1, 0.5]]},
            r"arbiter\.json: an overlap of rules that are not listed; call project\.train\(\) again",
        ),
        (
            {"overlaps": [[-1, 1, 0.5]]},
            r"arbiter\.json: an overlap of rules that are not listed; call project\.train\(\) again",
        ),
        (
            {"overlaps": [[1, 3, 0.5]]},
            r"arbiter\.json: an overlap of rules that are not listed; call project\.train\(\) again",
        ),
        ({"base_rates": [0.5]}, r"arbiter\.json: 1 base rates for 2 labels; call project\.train\(\) again"),
        (
            {"overlaps": [[0, 9, 0.5]]},
            r"arbiter\.json: an overlap of rules that are not listed; call project\.train\(\) again",
        ),
    ],
)
def test_a_damaged_file_is_named(arbiter, tmp_path, change, message):
    arbiter.save(tmp_path)
    path = tmp_path / "arbiter.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")
    with pytest.raises(KdslError, match=message):
        Arbiter.load(tmp_path)


def test_a_torn_file_and_a_missing_one_are_named(arbiter, tmp_path):
    with pytest.raises(KdslError, match=r"arbiter\.json: no such file; call project\.train\(\) first"):
        Arbiter.load(tmp_path)
    arbiter.save(tmp_path)
    path = tmp_path / "arbiter.json"
    path.write_text(path.read_text("utf-8")[:100], "utf-8")
    with pytest.raises(KdslError, match=r"arbiter\.json, line .*: not valid JSON .*; call project\.train\(\) again"):
        Arbiter.load(tmp_path)
