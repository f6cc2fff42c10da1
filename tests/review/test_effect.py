import numpy as np
import pytest
from reviewed_shop import LABELS, open_shop
from rule_files import TASK

from kdsl.arbiter.arbiter import Arbiter, Quality, Standing
from kdsl.review.effect import TrainedArbiter
from kdsl.review.model_word import ModelWord
from kdsl.rules.engine import Engine


@pytest.mark.parametrize("merged", [True, False])
def test_the_page_decides_as_the_arbiter_does_with_and_without_the_rule(tmp_path, merged):
    site = open_shop(tmp_path).site
    overview, index = site.overview(TASK), site.indexes[TASK]
    standings = tuple(
        Standing(id=each.rule.id, when=each.when, label=each.rule.label, reliability=0.5 + 0.1 * i, hits=5, correct=4)
        for i, each in enumerate(overview.rules[:3])  # the fourth is unknown to training
    )
    quality = Quality(log_loss=1.0, weighted_f1=0.5)
    arbiter = Arbiter(
        task=TASK, labels=LABELS, merged=merged, a=1.0, b=1.0, model_a=1.0, samples=6, model=quality, both=quality,
        base_rates=(0.3, 0.4, 0.3), rules=standings, overlaps=((0, 1, 0.5), (0, 2, 0.25)),
    )  # fmt: skip
    model = np.random.default_rng(0).dirichlet([1, 1, 1], len(index.samples))
    word = ModelWord(model, np.ones(len(index.samples), dtype=bool))
    rules = [each.rule for each in overview.rules]
    hits = Engine(rules).matrix(index.table)

    def labels(chosen: list[int]) -> np.ndarray:
        weighed = arbiter.weigh([rules[i] for i in chosen])
        return arbiter.pool.probabilities(model, weighed.evidence(hits[:, chosen], 3)).argmax(axis=1)

    everything = list(range(len(rules)))
    for rule in everything:
        effect = TrainedArbiter(arbiter).effect(index, overview, rule, word)
        before, after = labels([i for i in everything if i != rule]), labels(everything)
        expected = [(row, before[row], after[row]) for row in np.flatnonzero(before != after)]
        assert list(effect.changed) == expected
        assert (effect.weight is None) is (overview.rules[rule].when not in {each.when for each in standings})
