"""A small model inside the search: what it is asked, when, and what its words change."""

from dataclasses import dataclass, field, replace

import numpy as np
import planted_exceptions as world
import pytest

from kdsl.bitmaps import unpack
from kdsl.mining.inside import LEAST_RIGHT, LEAST_WRONG, Inside
from kdsl.mining.miner import MiningSettings, mine_label, start_search
from kdsl.mining.problem import ALL_SAMPLES, MiningProblem
from kdsl.mining.proposer import Advice, Judged, Partial
from kdsl.mining.run import mine_task, prepare
from kdsl.sample import Task
from kdsl.vlm.usage import CallBudget

SETTINGS = MiningSettings(folds=3)
REAL = tuple(world.TAKEN_BACK.values())


@dataclass
class Adviser:
    """Prefers exceptions on some words, the real ones by default, where it `knows`; and names `words`."""

    knows: bool = True
    prefers: tuple[str, ...] = REAL
    words: tuple[str, ...] = ()
    asked: list[Partial] = field(default_factory=list)
    name: str = "adviser"
    local: bool = True

    def advise(self, task: Task, partial: Partial) -> Advice | None:
        self.asked.append(partial)
        if not self.knows:
            return None
        real = [each.negated and each.terms[0] in self.prefers for each in partial.candidates]
        texts = world.training()[0].texts(world.FIELD)
        named = tuple((world.has(word), np.array([word in text for text in texts])) for word in self.words)
        return Advice(np.array(real, dtype=float), named)

    def within(self, budget: CallBudget) -> "Adviser":
        return self


@dataclass
class Judge:
    """Knows which exceptions are real, or says the same of every rule."""

    knows: bool = True
    choice: int = 12

    def judge(self, task: Task, rules: list[Judged]) -> list[float | None]:
        return [(0.95 if world.is_planted(*rule) else 0.05) if self.knows else None for rule in rules]

    def within(self, budget: CallBudget) -> "Judge":
        return self


@pytest.fixture(scope="module")
def problem() -> MiningProblem:
    table, labels = world.training()
    return prepare(world.TASK, table, labels, SETTINGS, 0)


def inside(problem: MiningProblem, adviser: Adviser, **more: object) -> Inside:
    return Inside(problem.task, problem.vocabulary.n_samples, adviser, **more)


def exception(problem: MiningProblem, own: Inside | None, label: int = 0) -> str:
    """What the best rule of a label that has an exception leaves out."""
    rules = mine_label(problem, ALL_SAMPLES, label, SETTINGS, own)
    written = [condition for rule in rules for condition in rule.written(problem.vocabulary)]
    return next(condition.terms[0] for condition in written if condition.negated)


def test_without_an_answer_a_search_is_what_it_is_without_a_small_model(problem):
    silent = Adviser(knows=False)
    with_it, alone = (start_search(problem, ALL_SAMPLES, 0, SETTINGS, own) for own in (inside(problem, silent), None))
    found, known = with_it.run(), alone.run()
    assert silent.asked
    assert [(rule.key, rule.reward, rule.bits.tobytes()) for rule in found] == [
        (rule.key, rule.reward, rule.bits.tobytes()) for rule in known
    ]
    assert with_it.evaluations > 0 and with_it.iterations == alone.iterations


def test_advice_at_a_node_finds_the_exception_that_the_samples_cannot_tell(problem):
    for label, (real, chance) in enumerate(zip(REAL, world.BY_CHANCE.values(), strict=True)):
        assert exception(problem, inside(problem, Adviser()), label) == real
        assert exception(problem, inside(problem, Adviser(prefers=(chance,))), label) == chance


def test_only_a_node_with_enough_right_and_wrong_hits_is_asked_about_and_once(problem):
    adviser = Adviser()
    search = start_search(problem, ALL_SAMPLES, 0, SETTINGS, inside(problem, adviser))
    search.run()
    assert all(len(node.right) >= LEAST_RIGHT and len(node.wrong) >= LEAST_WRONG for node in adviser.asked)
    assert all(node.rule for node in adviser.asked), "the root has its own questions, before the search"
    rules = [node.rule for node in adviser.asked]
    assert len(set(rules)) == len(rules)
    asked = [node for node in search.nodes.values() if node.asked]
    assert asked and all(node.visits >= SETTINGS.search.asked_visits for node in asked)


@pytest.mark.parametrize(("right", "wrong", "worth"), [(3, 2, True), (2, 2, False), (3, 1, False), (9, 0, False)])
def test_three_right_and_two_wrong_hits_are_worth_a_question(problem, right, wrong, worth):
    from kdsl.bitmaps import pack

    own = inside(problem, Adviser()).of(0, 0)
    flags = np.zeros((2, problem.vocabulary.n_samples), dtype=bool)
    flags[0, : right + wrong] = True
    flags[1, :right] = True
    assert own.worth_asking(*pack(flags)) is worth


def test_it_sees_no_sample_that_the_search_may_not_see(problem):
    for fold in range(3):
        adviser = Adviser()
        mine_label(problem, fold, 0, SETTINGS, inside(problem, adviser))
        assert adviser.asked
        for node in adviser.asked:
            assert not np.any(problem.folds[[*node.right, *node.wrong]] == fold)
            assert (problem.labels[node.right] == 0).all() and (problem.labels[node.wrong] != 0).all()


def test_named_terms_are_conditions_of_that_search_only(problem):
    word = "我要"  # in too many samples to be a candidate
    assert not any(word in condition.terms for condition in problem.vocabulary.conditions)
    search = start_search(problem, ALL_SAMPLES, 0, SETTINGS, inside(problem, Adviser(words=(word,))))
    before = len(search.literals)
    search.run()
    assert len(search.literals) == before + 1
    assert not any(word in condition.terms for condition in problem.vocabulary.conditions)
    other = start_search(problem, ALL_SAMPLES, 1, SETTINGS, inside(problem, Adviser()))
    assert not any(word in condition.terms for condition in other.literals.vocabulary.conditions)


def test_a_named_condition_covers_the_samples_of_the_part_that_is_searched(problem):
    word = "我要"
    search = start_search(problem, 0, 0, SETTINGS, inside(problem, Adviser(words=(word,))))
    search.run()
    held = unpack(search.literals.bits[-1], problem.vocabulary.n_samples)
    assert np.array_equal(held, problem.folds != 0), "everybody says it, and fold 0 is not looked at"


def test_a_judgement_changes_the_reward_as_far_as_it_proved_right(problem):
    def best(weight: float) -> float:
        parts = tuple((weight, 0.0) for _ in range(4))
        own = inside(problem, Adviser(), validator=Judge(), sense=parts)
        search = start_search(problem, ALL_SAMPLES, 0, SETTINGS, own)
        return max(rule.reward for rule in search.run() if world.is_planted(0, search.literals.written(rule.key)))

    unjudged, half, full = best(0.0), best(0.5), best(1.0)
    assert unjudged < half < full


def test_a_judge_without_an_answer_changes_no_reward(problem):
    parts = tuple((1.0, 0.3) for _ in range(4))
    silent = inside(problem, Adviser(), validator=Judge(knows=False), sense=parts)
    heard, alone = (
        start_search(problem, ALL_SAMPLES, 0, SETTINGS, own) for own in (silent, inside(problem, Adviser()))
    )
    assert {r.bits.tobytes(): pytest.approx(r.reward) for r in heard.run()[:5]} == {
        r.bits.tobytes(): r.reward for r in alone.run()[:5]
    }


def test_calls_are_spread_over_the_searches(problem):
    @dataclass
    class Counting(Adviser):
        budget: CallBudget | None = None
        given: list[int] = field(default_factory=list)

        def within(self, budget: CallBudget) -> "Counting":
            self.given.append(budget.calls)
            return self

    adviser = Counting(local=True)
    budget = CallBudget(1000)
    table, labels = world.training()
    mine_task(world.TASK, table, labels, SETTINGS, 0, adviser=adviser, budget=budget, workers=1)
    searches = 4 * 5
    each = 500 // searches
    assert set(adviser.given) == {each - each // 3} and len(adviser.given) == searches
    assert budget.take(1000) == 500, "the other half is for judging the rules found"


def test_mining_goes_on_after_an_interruption_with_the_same_rules(tmp_path):
    table, labels = world.training()

    def mined(**more: object) -> list[str]:
        result = mine_task(world.TASK, table, labels, SETTINGS, 0, adviser=Adviser(words=("我要",)), workers=1, **more)
        return [f"{rule.label} {rule.written(result.problem.vocabulary)}" for rule in result.rules]

    def stop(fold: int, label: int) -> None:
        if (fold, label) == (0, 2):
            raise KeyboardInterrupt

    whole = mined()
    with pytest.raises(KeyboardInterrupt):
        mined(resume_file=tmp_path / "searches.jsonl", progress=stop)
    assert (tmp_path / "searches.jsonl").exists()
    assert mined(resume_file=tmp_path / "searches.jsonl") == whole


def test_another_small_model_starts_the_searches_afresh(problem):
    from kdsl.mining.run import fingerprint

    own = inside(problem, Adviser())
    others = [
        None,
        inside(problem, Adviser(name="another")),
        replace(own, questions=3),
        replace(own, judgements=3),
        replace(own, sense=((0.5, 0.0),)),
    ]
    prints = [fingerprint(problem, SETTINGS, each) for each in (own, *others)]
    assert len(set(prints)) == len(prints)
