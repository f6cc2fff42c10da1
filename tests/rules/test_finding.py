"""Every finding is a check with values, and has a sentence in both languages."""

import re
import string
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from concept_encoder import concept_vectors
from hypothesis import given
from hypothesis import strategies as st

from kdsl.fields import COLOURS, KINDS, ZONES
from kdsl.fields.sidecar import Sidecars
from kdsl.rules.condition import Condition
from kdsl.rules.finding import CHINESE_NAMES, SENTENCES, Check, Finding, check_name, pieces, sentence
from kdsl.rules.lint import lint
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Sample, Task, Turn

CHECKS = get_args(Check)
TASK = Task("退货", (Label("退款"), Label("换货")))


def names_in(check: Check, language) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(SENTENCES[language][check]) if name is not None}


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_has_a_name_and_a_sentence_in_both_languages(check):
    assert check_name(check, "en") == check and re.search("[\u4e00-\u9fff]", check_name(check, "zh"))
    assert re.search("[\u4e00-\u9fff]", SENTENCES["zh"][check]) and not re.search(
        "[\u4e00-\u9fff]", SENTENCES["en"][check]
    )


def test_there_are_no_words_for_anything_else():
    assert set(CHECKS) == SENTENCES["en"].keys() == SENTENCES["zh"].keys() == CHINESE_NAMES.keys()


def test_a_sentence_is_told_in_words_and_values():
    values = {"other": "r-0002", "conditions": (Condition.model_validate({"user": ["退", "钱"]}),)}
    assert sentence("subsumed rule", values) == (
        "hits only where r-0002 (`user has 退|钱`) hits too; delete it or make it say more"
    )
    assert list(pieces("subsumed rule", values, "zh")) == [
        ("凡它命中的，", None), ("r-0002", "other"), ("（", None), ("用户的话含 退 或 钱", "conditions"),
        ("）也命中；可以删去，或改得更具体", None),
    ]  # fmt: skip


def test_a_record_holds_check_and_values_beside_the_sentence():
    condition, earlier = (Condition.model_validate(each) for each in ({"turns": ">3"}, {"not": {"user": ["退"]}}))
    values = {"condition": condition, "earlier": earlier}
    assert Finding("contradiction", "error", Path("a.yaml"), 8, "r-0001", values).record() == {
        "check": "contradiction",
        "severity": "error",
        "file": "a.yaml",
        "line": 8,
        "rule": "r-0001",
        "values": {"condition": {"turns": ">3"}, "earlier": {"not": {"user": ["退"]}}},
        "message": "`turns >3` contradicts `not user has 退`: the rule never hits; delete one of the two",
    }


TERMS = st.lists(st.sampled_from(["退", "退款", "要退款", "钱", "退 款"]), min_size=1, max_size=3)
POSITIVE = st.one_of(
    st.builds(
        lambda field, terms: {field: terms}, st.sampled_from(["last_user", "user", "last_agent", "dialogue"]), TERMS
    ),
    st.builds(lambda number: {"turns": f">{number}"}, st.integers(0, 3)),
    st.builds(lambda number: {"turns": f"<{number}"}, st.integers(1, 3)),
    st.builds(lambda kind: {"image.kind": kind}, st.sampled_from(KINDS)),
    st.builds(
        lambda zone, colour, share: {"image.colour": {"zone": zone, "colour": colour, "share": share}},
        st.sampled_from(list(ZONES)), st.sampled_from(COLOURS), st.sampled_from([">0.5", "<0", ">=1", "<=0.25"]),
    ),
    st.builds(
        lambda terms, height: {"ocr.size": {"terms": terms, "height": height}},
        TERMS, st.sampled_from([">0.02", ">1", "<0.1"]),
    ),
)  # fmt: skip
CONDITIONS = st.lists(st.one_of(POSITIVE, st.builds(lambda each: {"not": each}, POSITIVE)), min_size=1, max_size=3)
RULES = st.builds(
    lambda conditions, label, status, of, hit, miss: {
        "when": {"all": conditions}, "label": label, "status": status, "review": {"by": "小王", "of": of},
        "tests": {"hit": hit, "miss": miss},
    },
    CONDITIONS, st.sampled_from(["退款", "换货", "未知"]), st.sampled_from(["proposed", "accepted", "rejected"]),
    st.sampled_from(["", "0" * 16]), *[st.lists(st.sampled_from(["一", "二", "三"]), max_size=2, unique=True)] * 2,
)  # fmt: skip
SAMPLES = [Sample(id, TASK.name, (Turn("user", "我要退款"),)) for id in ("一", "二", "四", "五")]


def broken(folder: Path, rules: list[dict], copies: int, sidecars: Sidecars | None = None) -> list[Finding]:
    """What lint finds about these rules; the first few lie there twice, in files that are no rules, too."""
    base = RuleBase(folder, TASK.name)
    for number, entries in enumerate(rules):
        base.save(Rule(id=f"r-{number:04d}", **entries))
    for rule in base.rules[:copies]:
        text = base.path(rule).read_text("utf-8")
        base.path(rule).with_name(f"副本 {rule.id}.yaml").write_text(text, "utf-8")
        base.path(rule).with_suffix(".yml").write_text(text, "utf-8")
        moved = base.folder / TASK.name / "别处" / f"{rule.id}x.yaml"
        moved.parent.mkdir(exist_ok=True)
        moved.write_text(text.replace(rule.id, f"{rule.id}x"), "utf-8")
    if len(base.rules) > 1:
        first = base.path(base.rules[0])
        first.write_text(first.read_text("utf-8").replace("when:", "何时："), "utf-8")
    return lint(folder, TASK, SAMPLES, replace(sidecars or Sidecars(), left_out=frozenset({"last_agent"})))


@given(st.lists(RULES, min_size=1, max_size=4), st.integers(0, 2))
def test_whatever_is_wrong_with_a_rule_base_is_told_in_chinese_and_with_all_values(rules, copies):
    with tempfile.TemporaryDirectory(prefix="规则") as folder:
        findings = broken(Path(folder), rules, copies)
    for finding in findings:
        for language in ("en", "zh"):
            told = list(pieces(finding.check, finding.values, language))
            assert (
                {name for _, name in told if name is not None} == set(finding.values) == names_in(finding.check, "en")
            )
        words = "".join(text for text, name in told if name not in ("other", "id", "file", "reason", "ending"))
        assert not re.search("[A-Za-z]", words.replace(".yaml", "")), words
        assert finding.message == sentence(finding.check, finding.values, "en")


def test_the_rules_above_have_every_kind_of_finding(tmp_path):
    rule = {"label": "退款", "when": {"all": [{"user": ["退款"]}]}}
    rules = [
        {**rule, "label": "未知"},
        rule,
        {**rule, "review": {"of": "0" * 16}, "tests": {"hit": ["三"], "miss": ["一"]}},
        {**rule, "label": "换货"},
        {**rule, "when": {"all": [{"user": ["要退款"]}, {"dialogue": ["退款", "退 款", "要退款"]}]}},
        {**rule, "when": {"all": [{"turns": ">1"}, {"turns": "<1"}]}, "tests": {"hit": ["一"]}},
        {**rule, "when": {"all": [{"not": {"user": ["钱"]}}]}, "label": "换货"},
        {**rule, "when": {"all": [{"last_agent": ["退款"]}]}},
        {**rule, "when": {"all": [{"voice": ["退款"]}]}},
        {**rule, "when": {"all": [{"image.colour": {"zone": "top", "colour": "red", "share": ">1.2"}}]}},
    ]
    meanings = [
        {**rule, "when": {"all": [{"means": {"user": wording, "at": 0.5, **encoder}}]}}
        for wording, encoder in (("退钱" * 31, {}), ("退钱", {"encoder": "other"}), ("退钱", {}))
    ]
    findings = [
        *broken(tmp_path / "a", [*rules, meanings[0]], 3),
        *broken(tmp_path / "b", meanings, 0, Sidecars(vectors=concept_vectors())),
    ]
    assert {finding.check for finding in findings} == set(CHECKS)
