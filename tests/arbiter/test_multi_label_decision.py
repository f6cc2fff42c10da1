"""One decision a label: who decided it, and why."""

import pytest

from kdsl.arbiter.multi_label_decision import LabelDecision, MultiLabelDecision
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Review, Rule, When
from kdsl.sample import Sample, Turn

SAMPLE = Sample("7", "shop", (Turn("user", "我要退款，衣服破了"),), labels=("退款", "质量"))


IDS = {"退款": "r-aaaa", "破了": "r-bbbb"}


def hit(term: str, label: str, weight: float = 2.0, accepted: bool = False) -> WeighedHit:
    rule = Rule(id=IDS[term], label=label, when=When(all=(Condition(field="text", terms=(term,)),)))
    if accepted:
        rule = rule.model_copy(update={"status": "accepted", "review": Review(of=rule.when_hash)})
    [[found]] = Engine([rule]).hits(FieldTable([SAMPLE], Sidecars()))
    return WeighedHit(found, 0.9, weight)


def label(name="退款", probability=0.8, model=0.2, rules=(), listens_to="all") -> LabelDecision:
    return LabelDecision(name, probability, 0.4, model, 0.35, tuple(rules), listens_to)


def decision(*labels: LabelDecision) -> MultiLabelDecision:
    names = tuple(each.label for each in labels)
    return MultiLabelDecision(SAMPLE, names, labels, tuple(hit for each in labels for hit in each.rules))


def test_rules_decide_what_they_made_hold():
    found = label(rules=[hit("退款", "退款")])
    assert found.by == "rules" and found.holds and not found.holds_without_rules
    assert found.reason == (
        "rule r-aaaa (text has 退款) speaks for it (0.80, from 0.40 on it holds; 0.20 by the model alone)"
    )


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (
            label(probability=0.8, model=0.7),
            "the model gives it 0.70, enough as it holds from 0.35 on; no rule for it holds",
        ),
        (
            label(probability=0.1, model=0.1),
            "the model gives it 0.10, too little as it holds from 0.35 on; no rule for it holds",
        ),
        (
            label(probability=0.9, model=0.7, rules=[hit("退款", "退款")]),
            "the model gives it 0.70 and rule r-aaaa (text has 退款) speaks for it: together 0.90, enough as it "
            "holds from 0.40 on",
        ),
        (
            label(probability=0.3, model=0.1, rules=[hit("退款", "退款")]),
            "the model gives it 0.10 and rule r-aaaa (text has 退款) speaks for it: together 0.30, too little as "
            "it holds from 0.40 on",
        ),
        (
            label(probability=0.7, model=0.7, rules=[hit("退款", "退款")], listens_to="none"),
            "the model gives it 0.70, enough as it holds from 0.35 on; 1 rule holds: rules do not count, as they "
            "did not help in training",
        ),
        (
            label(probability=0.7, model=0.7, rules=[hit("退款", "退款", 0.0)], listens_to="accepted"),
            "the model gives it 0.70, enough as it holds from 0.35 on; 1 rule holds that nobody has accepted: such "
            "rules did not help in training",
        ),
        (
            label(probability=0.7, model=0.7, rules=[hit("退款", "退款", 0.0, accepted=True)]),
            "the model gives it 0.70, enough as it holds from 0.35 on; 1 rule holds, which adds nothing to "
            "what the model says",
        ),
    ],
)
def test_the_model_decides_the_rest(found, reason):
    assert found.by == "model"
    assert found.reason == reason


def test_a_label_holds_from_its_threshold_on():
    assert label(probability=0.4).holds and not label(probability=0.399).holds
    assert label(model=0.35).holds_without_rules and not label(model=0.349).holds_without_rules


def test_the_decision_names_the_labels_that_hold():
    found = decision(label(rules=[hit("退款", "退款")]), label("质量", 0.9, 0.9), label("尺码", 0.1, 0.1))
    assert found.label == ("退款", "质量") and found.label_words == "退款 + 质量"
    assert found.model_label == ("质量",)
    assert found.by == "rules"
    assert found.probabilities == {"退款": 0.8, "质量": 0.9, "尺码": 0.1}
    assert found.reason.startswith("退款: rule r-aaaa") and "; 质量: the model gives it 0.90" in found.reason
    assert "尺码" not in found.reason
    assert repr(found) == "MultiLabelDecision('7': '退款 + 质量', by the rules)"


def test_where_none_holds_the_nearest_is_named():
    found = decision(label(probability=0.1, model=0.1), label("质量", 0.3, 0.3))
    assert found.label == () and found.label_words == "no label" and found.by == "model"
    assert found.reason.startswith("no label holds, 质量 being the nearest: the model gives it 0.30, too little")


def test_the_record_has_a_decision_for_every_label():
    found = decision(label(rules=[hit("退款", "退款")]), label("尺码", 0.1, 0.1)).record()
    assert found["label"] == ["退款"]
    assert found["model"] == {"label": [], "probabilities": {"退款": 0.2, "尺码": 0.1}}
    assert found["decision"]["label_without_rules"] == [] and found["decision"]["by"] == "rules"
    assert [rule["id"] for rule in found["rules"]] == ["r-aaaa"]
    assert found["decisions"]["尺码"] == {
        "holds": False,
        "probability": 0.1,
        "threshold": 0.4,
        "by": "model",
        "holds_without_rules": False,
        "reason": "the model gives it 0.10, too little as it holds from 0.35 on; no rule for it holds",
    }


def test_a_notebook_shows_every_label_that_holds_and_dots_what_speaks_for_another():
    shown = decision(label(rules=[hit("退款", "退款")]), label("质量", 0.1, 0.1, [hit("破了", "质量")]))._repr_html_()
    assert "<b>退款</b>" in shown and "its own labels: 退款 + 质量" in shown
    assert '<mark title="r-aaaa: 退款">退款</mark>' in shown
    assert '<mark class="against" title="r-bbbb: 质量">破了</mark>' in shown
    assert "holds from" in shown and "0.40" in shown
