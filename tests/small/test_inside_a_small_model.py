"""A trained small model at the nodes of the search finds what the samples alone cannot tell."""

from pathlib import Path

import planted_exceptions as world
import pytest
import tiny_qwen2vl
from counting_model import CountingModel

from kdsl.mining.miner import Mined, MiningSettings
from kdsl.mining.proposer import Partial
from kdsl.mining.run import mine_task
from kdsl.small.adviser import SmallAdviser
from kdsl.small.proposer import SmallProposer
from kdsl.small.validator import SmallValidator
from kdsl.small.wording import CHINESE
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.local import LocalModel
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.usage import CallBudget


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A model that was taught the planted world."""
    pytest.importorskip("torch", reason="needs the extra vlm")
    return LocalModel.load(str(world.teach(tmp_path_factory.mktemp("knowing"))), tiny_qwen2vl.BUDGET)


def mined(model: VisionLanguageModel, calls: int, nodes: bool = True, seed: int = 0) -> Mined:
    table, labels = world.training(seed)
    budget = CallBudget(calls)
    return mine_task(
        world.TASK,
        table,
        labels,
        MiningSettings(folds=3),
        seed,
        proposer=SmallProposer(model, "tiny", table, labels, None, budget),
        validator=SmallValidator(model, budget),
        adviser=SmallAdviser(model, "tiny", table, None, budget) if nodes else None,
        budget=budget,
        workers=1,
    )


def planted(result: Mined) -> int:
    """How many of the rules have the real exception of their label."""
    return sum(world.is_planted(rule.label, rule.written(result.problem.vocabulary)) for rule in result.rules)


def test_asked_at_nodes_it_finds_every_planted_exception(knowing: LocalModel, tmp_path: Path) -> None:
    model = CachedModel(knowing, tmp_path / "small.jsonl")
    for seed in range(2):
        assert planted(mined(model, 800, seed=seed)) == len(world.TAKEN_BACK)
        assert planted(mined(model, 800, nodes=False, seed=seed)) < len(world.TAKEN_BACK)


@pytest.mark.parametrize("calls", [0, 40, 100, 400])
def test_it_never_asks_more_than_it_may(calls: int) -> None:
    model = CountingModel(reply=lambda conversation: "取消")
    mined(model, calls)
    assert len(model.asked) <= calls


def test_what_is_asked_before_the_search_comes_first() -> None:
    def before(calls: int, nodes: bool) -> list[str]:
        model = CountingModel()
        mined(model, calls, nodes)
        return [str(each) for each in model.asked][:20]

    assert before(100, nodes=True) == before(100, nodes=False)


def partial() -> Partial:
    candidates = (world.has("取消", True), world.has("下雨", True))
    return Partial(0, (world.has("退货"),), [0, 1, 2, 3], [12, 13, 14], candidates)


def test_it_is_shown_the_rule_with_right_and_wrong_hits() -> None:
    model = CountingModel()
    table, _ = world.training()
    SmallAdviser(model, "tiny", table, None, CallBudget(3)).advise(world.TASK, partial())
    there = str(model.asked[0])
    assert all(str(table.rows[i].sample.turns[-1].text) in there for i in (0, 3, 12, 14))
    assert CHINESE.positive in there and CHINESE.negative in there and "退货" in there
    assert len(model.asked) == 3


def test_without_an_answer_it_has_nothing_to_say() -> None:
    table, _ = world.training()
    silent = CountingModel(evades=lambda conversation: True)
    assert SmallAdviser(silent, "tiny", table, None, CallBudget(3)).advise(world.TASK, partial()) is None
    unasked = CountingModel()
    assert SmallAdviser(unasked, "tiny", table, None, CallBudget(1)).advise(world.TASK, partial()) is None
    assert not unasked.asked


def test_a_term_that_right_hits_do_not_hold_is_dropped() -> None:
    table, _ = world.training()
    model = CountingModel(reply=lambda conversation: "我要，没有人说")
    advice = SmallAdviser(model, "tiny", table, None, CallBudget(3)).advise(world.TASK, partial())
    assert advice is not None
    [(condition, flags)] = advice.named
    assert condition == world.has("我要") and flags.all()
