"""The decision: who decided, and why, in one sentence."""

import numpy as np

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Turn
from kdsl.vlm.usage import Cost

LABELS = ("调光", "材质", "物流")
PAGES = Sidecars(ocr={"p.png": OcrPage("p.png", (100, 200), (OcrLine("面料：棉麻", 1.0, (0, 10, 50, 20)),))})
SAMPLE = Sample("a", "shop", (Turn("user", "灯能调亮度吗"), Turn("agent", ""), Turn("user", "太亮了")), ("p.png",))
RULES = [
    Rule(id="r-lamp", label="调光", when=When(all=(Condition(field="user", terms=("变暗", "亮度")),))),
    Rule(id="r-two2", label="调光", when=When(all=(Condition(field="last_user", terms=("太亮",)),))),
    Rule(id="r-three", label="调光", when=When(all=(Condition(field="user", terms=("灯",)),))),
    Rule(id="r-linen", label="材质", when=When(all=(Condition(field="ocr", terms=("棉麻",)),))),
]


def decision(model, merged, rules=(0, 3), weights=(2.0, 2.0, 2.0), **more) -> Decision:
    found = Engine([RULES[index] for index in rules]).hits(FieldTable([SAMPLE], PAGES))[0]
    hits = tuple(WeighedHit(hit, 0.9, weight) for hit, weight in zip(found, weights, strict=False))
    return Decision(SAMPLE, LABELS, np.array(model), np.array(merged), hits, **{"listens_to": "all", **more})


def test_rules_that_change_the_label_are_named_with_what_they_found():
    changed = decision((0.3, 0.6, 0.1), (0.7, 0.2, 0.1), (0,))
    assert (changed.by, changed.label, changed.model_label) == ("rules", "调光", "材质")
    assert changed.reason == "rule r-lamp (user has 亮度) speaks for 调光 (0.70 against 0.20 for the model's 材质)"


def test_two_rules_are_named_and_the_others_counted():
    changed = decision((0.3, 0.6, 0.1), (0.7, 0.2, 0.1), (0, 1, 2))
    assert changed.reason == (
        "rules r-lamp (user has 亮度), r-two2 (last_user has 太亮) and 1 more speak for 调光 "
        "(0.70 against 0.20 for the model's 材质)"
    )


def test_a_label_that_stands_says_which_rules_agree_and_which_do_not():
    kept = decision((0.7, 0.2, 0.1), (0.6, 0.3, 0.1))
    assert kept.by == "model"
    assert kept.reason == (
        "the model says 调光 (0.70); rule r-lamp (user has 亮度) speaks for it too; "
        "rule r-linen (ocr has 棉麻) speaks for 材质, which is not enough"
    )


def test_a_model_that_stands_alone_says_so():
    assert decision((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), ()).reason == "the model says 调光 (0.70); no rule holds"
    alone = decision((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), listens_to="none")
    told = "the model says 调光 (0.70); 2 rules hold: rules do not count, as they did not help in training"
    assert alone.reason == told


def test_where_only_accepted_rules_count_proposed_ones_are_told_as_such():
    silent = decision((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), listens_to="accepted")
    assert silent.reason == (
        "the model says 调光 (0.70); 2 rules hold that nobody has accepted: such rules did not help in training"
    )
    one = decision((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), (0,), listens_to="accepted")
    assert "; 1 rule holds that nobody has accepted: " in one.reason


def test_without_an_answer_of_the_model_rules_decide_alone():
    silent = decision((0.4, 0.3, 0.3), (0.8, 0.1, 0.1), (0,), answered=False)
    assert silent.by == "rules"
    assert silent.reason == "rule r-lamp (user has 亮度) speaks for 调光 (0.80); the model has no answer"
    nothing = decision((0.4, 0.3, 0.3), (0.4, 0.3, 0.3), (), answered=False)
    assert nothing.by == "model"
    assert nothing.reason == "the model has no answer; 调光 is the likeliest without one; no rule holds"


def test_the_record_is_the_designs():
    record = decision((0.3, 0.6, 0.1), (0.7, 0.2, 0.1), (0,)).record()
    assert list(record) == ["id", "task", "label", "probabilities", "model", "rules", "decision"]
    assert record["probabilities"] == {"调光": 0.7, "材质": 0.2, "物流": 0.1}
    assert record["model"] == {
        "label": "材质",
        "probability": 0.6,
        "probabilities": {"调光": 0.3, "材质": 0.6, "物流": 0.1},
    }
    assert record["rules"] == [
        {
            "id": "r-lamp",
            "label": "调光",
            "reliability": 0.9,
            "evidence": [{"condition": 0, "field": "user", "term": "亮度", "turn": 0, "span": [3, 5]}],
        }
    ]
    assert record["decision"]["by"] == "rules"
    assert record["decision"]["label_without_rules"] == "材质"


def test_a_record_holds_numbers_to_six_digits_and_what_a_large_model_cost_and_wrote():
    told = decision((1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 0), (0,), cost=Cost(2, 31, 1), model_reason="因为").record()
    assert told["probabilities"] == {"调光": 0.666667, "材质": 0.333333, "物流": 0}
    assert told["model"]["probability"] == 0.666667
    assert told["model"]["probabilities"] == {"调光": 0.333333, "材质": 0.666667, "物流": 0}
    assert told["model"]["reason"] == "因为"
    assert told["cost"] == {"calls": 2, "tokens": 31, "dropped": 1}
    assert list(told) == ["id", "task", "label", "probabilities", "model", "rules", "decision", "cost"]
    assert (told["id"], told["task"], told["label"]) == ("a", "shop", "调光")
    assert told["decision"]["reason"].startswith("rule r-lamp (user has 亮度) speaks for 调光")
    assert decision((1, 0, 0), (1, 0, 0), (0,), weights=(2.0,)).record()["rules"][0]["reliability"] == 0.9


def test_rules_that_are_worth_nothing_are_said_to_be_so():
    kept = decision((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), (0, 3), weights=(0.0, 0.0))
    assert kept.reason == "the model says 调光 (0.70); the rules that hold add nothing to what the model says"
    one = decision((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), (0, 3), weights=(0.0, 1.0))
    assert one.reason == (
        "the model says 调光 (0.70); rule r-linen (ocr has 棉麻) speaks for 材质, which is not enough"
    )


def test_every_other_label_that_rules_speak_for_is_named_once():
    kept = decision((0.1, 0.2, 0.7), (0.1, 0.2, 0.7), (0, 1, 3))
    assert kept.reason == (
        "the model says 物流 (0.70); rules r-lamp (user has 亮度), r-two2 (last_user has 太亮) and 1 more speak for "
        "调光, 材质, which is not enough"
    )
    two = decision((0.1, 0.2, 0.7), (0.1, 0.2, 0.7), (0, 1))
    assert "rules r-lamp (user has 亮度) and r-two2 (last_user has 太亮) speak for 调光, which" in two.reason


def test_a_rule_for_another_label_does_not_decide_for_a_model_without_an_answer():
    silent = decision((0.4, 0.3, 0.3), (0.5, 0.3, 0.2), (3,), answered=False)
    assert (silent.by, silent.label) == ("model", "调光")
    assert silent.reason == (
        "the model has no answer; 调光 is the likeliest without one; "
        "rule r-linen (ocr has 棉麻) speaks for 材质, which is not enough"
    )
    deaf = decision((0.4, 0.3, 0.3), (0.5, 0.3, 0.2), (0,), answered=False, listens_to="none")
    assert deaf.by == "model"
    nothing = decision((0.4, 0.3, 0.3), (0.5, 0.3, 0.2), (0,), answered=False, weights=(0.0,))
    assert nothing.by == "model"


def test_where_only_accepted_rules_count_one_that_is_accepted_is_told_as_usual():
    accepted = RULES[0].model_copy(update={"status": "accepted"})
    found = Engine([accepted, RULES[3]]).hits(FieldTable([SAMPLE], PAGES))[0]
    hits = (WeighedHit(found[0], 0.9, 2.0), WeighedHit(found[1], 0.9, 0.0))
    kept = Decision(SAMPLE, LABELS, np.array([0.7, 0.2, 0.1]), np.array([0.7, 0.2, 0.1]), hits, "accepted")
    assert kept.reason == "the model says 调光 (0.70); rule r-lamp (user has 亮度) speaks for it too"


def test_a_condition_without_a_found_term_is_told_whole():
    rule = Rule(
        id="r-both", label="材质",
        when=When(all=(RULES[3].conditions[0], Condition(field="user", terms=("快递", "发货"), negated=True))),
    )  # fmt: skip
    [hit] = Engine([rule]).hits(FieldTable([SAMPLE], PAGES))[0]
    changed = Decision(
        SAMPLE, LABELS, np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.7, 0.1]), (WeighedHit(hit, 0.9, 1.0),), "all"
    )
    assert changed.reason.startswith(
        "rule r-both (ocr has 棉麻 and not user has 快递|发货) speaks for 材质 (0.70 against 0.20"
    )
