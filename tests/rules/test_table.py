"""A table of rules: its order, what was measured, and that a notebook's HTML is escaped."""

from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import RuleStatistics, statistics_path, write_statistics
from kdsl.rules.table import RuleTable


def rule(id: str, label: str = "size", term: str = "太小", **more) -> Rule:
    return Rule(id=id, label=label, when=When(all=(Condition(field="user", terms=(term,)),)), **more)


def measured(of: Rule, reliability: float | None, correct: int = 3, hits: int = 4) -> RuleStatistics:
    training = {"hits": hits, "correct": correct, "positives": 10, "samples": 20}
    return RuleStatistics(
        id=of.id, when=of.when_hash, training=training, reliability=reliability, base_rate=0.5, candidates=7
    )


def table(*rows: tuple[Rule, float | None]) -> RuleTable:
    statistics = {(each.id, each.when_hash): measured(each, reliability) for each, reliability in rows}
    return RuleTable([each for each, _ in rows], statistics)


def test_rules_stand_by_label_and_the_most_reliable_first():
    rows = table((rule("r-weak"), 0.4), (rule("r-good"), 0.9), (rule("r-other", "refund"), 0.1))
    assert [each.id for each in rows] == ["r-other", "r-good", "r-weak"]
    assert [each.id for each in RuleTable([rule("r-bbbb"), rule("r-aaaa")])] == ["r-aaaa", "r-bbbb"]


def test_records_are_plain_values():
    [record] = table((rule("r-good", status="accepted"), 0.9)).records()
    assert record == {
        "id": "r-good", "label": "size", "conditions": "user has 太小", "status": "accepted",
        "hits": 4, "correct": 3, "reliability": 0.9,
    }  # fmt: skip
    assert RuleTable([rule("r-new1")]).records()[0]["reliability"] is None


def test_statistics_of_other_conditions_do_not_count():
    old = rule("r-good")
    rows = RuleTable([rule("r-good", term="太大")], {(old.id, old.when_hash): measured(old, 0.9)})
    assert rows.of(rows[0]) is None


def test_it_shows_itself_escaped():
    html = table((rule("r-good", "<b>大</b>", "<script>"), 0.9))._repr_html_()
    assert '<td>&lt;b&gt;大&lt;/b&gt;</td><td class="words">user has &lt;script&gt;</td>' in html
    assert "3/4" in html and "0.90" in html and "1 rule;" in html
    assert "<script" not in html
    many = RuleTable([rule(f"r-{number:04}") for number in range(150)])._repr_html_()
    assert "150 rules, of which the first 100 are shown" in many and many.count("<tr>") == 101


def test_a_rule_base_is_a_collection_that_shows_the_same(tmp_path):
    base = RuleBase.load(str(tmp_path), "shop")
    assert (len(base), list(base)) == (0, [])
    base.save(rule("r-good"))
    write_statistics(statistics_path(tmp_path, "shop"), [measured(rule("r-good"), 0.9)])
    base = RuleBase.load(tmp_path, "shop")
    assert (len(base), [each.id for each in base]) == (1, ["r-good"])
    assert base._repr_html_() == base.table._repr_html_()
    assert str(base.table) == "size: user has 太小 (0.90)"
