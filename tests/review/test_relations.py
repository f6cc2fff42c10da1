"""What the page says about rules that hit the same samples: as `kdsl rules lint` does."""

import pytest
from reviewed_shop import LABELS, open_shop
from rule_files import TASK, rule

from kdsl.review.relations import Neighbour, neighbours
from kdsl.rules.lint import lint
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import RuleStatistics, TrainingCounts, statistics_path, write_statistics

GENERAL = rule(LABELS[1], {"user": ["材质"]})
SPECIAL = rule(LABELS[1], {"user": ["材质"]}, {"turns": ">1"})


@pytest.fixture
def site(tmp_path):
    return open_shop(tmp_path, rules=0).site


def seen(site, general: Rule, reliabilities: tuple[float | None, float | None] = (None, None)) -> list[Neighbour]:
    """How the special rule stands to the general one, and the other way round."""
    base = RuleBase(site.store.folder, TASK)
    counts = TrainingCounts(hits=2, correct=2, positives=3, samples=6)
    for each in (general, SPECIAL):
        base.save(each)
    write_statistics(
        statistics_path(base.folder, TASK),
        [
            RuleStatistics(
                id=each.id, when=each.when_hash, training=counts, reliability=value, base_rate=0.5, candidates=1
            )
            for each, value in zip((general, SPECIAL), reliabilities, strict=True)
        ],
    )
    site.store.refresh()
    overview = site.overview(TASK)
    return [neighbours(overview, overview.position[each.id])[0] for each in (SPECIAL, general)]


@pytest.mark.parametrize(
    ("reliabilities", "superfluous"),
    [((0.5, 0.5), True), ((0.5, None), True), ((None, 0.6), True), ((0.5, 0.6), False)],
)
def test_a_special_rule_is_superfluous_unless_it_is_the_more_reliable_one_as_lint_says(
    site, reliabilities, superfluous
):
    relations = [each.relation for each in seen(site, GENERAL, reliabilities)]
    assert relations == (["general", "special"] if superfluous else ["", ""])
    found = lint(site.store.folder, site.tasks[TASK])
    assert [each.check for each in found] == ["subsumed rule"] * superfluous


def test_a_rejected_rule_makes_none_superfluous(site):
    assert seen(site, GENERAL.model_copy(update={"status": "rejected"}))[0].relation == ""
