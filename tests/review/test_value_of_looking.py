"""What the queue begins with."""

from pathlib import Path

import pytest
from reviewed_shop import LABELS, TASK, open_shop
from rule_files import rule

from kdsl.review.live import LiveSite
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import statistics_path

BROAD = rule(LABELS[0], {"last_user": ["调吗", "调光"]})
TWIN = rule(LABELS[0], {"user": ["调吗", "调光"]})
OTHER_LABEL = rule(LABELS[1], {"user": ["调吗", "调光"]})


@pytest.fixture
def live(tmp_path: Path) -> LiveSite:
    live = open_shop(tmp_path)
    for each in (BROAD, TWIN, OTHER_LABEL):
        RuleBase(tmp_path / "rules", TASK).save(each)
    live.refresh()
    return live


def values(live: LiveSite) -> dict[str, float]:
    overview = live.site.overview(TASK)
    return dict(zip(overview.position, overview.value.tolist(), strict=True))


def decide(live: LiveSite, id: str, **fields: object) -> None:
    base = RuleBase.load(live.site.config.rules, TASK)
    base.save(base.get(id).model_copy(update=fields))
    live.refresh()


def test_a_twin_of_an_accepted_rule_can_wait(live):
    before = values(live)
    assert before[BROAD.id] == before[TWIN.id] > 0
    overview = live.site.overview(TASK)
    accepted = overview.rules[overview.position[BROAD.id]].rule.model_copy(update={"status": "accepted"})
    decide(live, BROAD.id, status="accepted", review=accepted.review.model_copy(update={"of": accepted.when_hash}))
    after = values(live)
    assert after[BROAD.id] == after[TWIN.id] == 0
    assert after[OTHER_LABEL.id] == before[OTHER_LABEL.id]  # what it would decide is still open
    decide(live, BROAD.id, status="rejected")
    assert values(live)[TWIN.id] == before[TWIN.id]


def test_an_approval_that_an_edit_has_made_stale_settles_nothing(live):
    before = values(live)
    overview = live.site.overview(TASK)
    review = overview.rules[overview.position[BROAD.id]].rule.review.model_copy(update={"of": "other"})
    decide(live, BROAD.id, status="accepted", review=review)
    assert values(live) == before


def test_counting_what_changed_comes_to_the_same_as_counting_everything(live):
    for id, status in ((BROAD.id, "accepted"), (TWIN.id, "accepted"), (BROAD.id, "rejected"), (TWIN.id, "proposed")):
        base = RuleBase.load(live.site.config.rules, TASK)
        each = base.get(id)
        decide(live, id, status=status, review=each.review.model_copy(update={"of": each.when_hash}))
        counted = values(live)
        with statistics_path(live.site.config.rules, TASK).open("a") as file:
            file.write("\n")  # other statistics: everything is counted again
        assert values(live) == counted
