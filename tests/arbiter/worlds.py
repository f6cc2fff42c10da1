"""Small worlds for the arbiter: made at random by Hypothesis, and turned into what `kdsl.arbiter` takes."""

import random
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from reference import Conditions, Counts, Known, Mined, World, counted, same

from kdsl.arbiter.arbiter import Arbiter
from kdsl.arbiter.fit import fit_arbiter
from kdsl.arbiter.trained import TrainedTask
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import Archive, ArchivedRule
from kdsl.mining.reliability import Reliability, Shown
from kdsl.models.classifier import Predicted
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Provenance, Review, Rule, When, rule_id
from kdsl.rules.statistics import RuleStatistics, TrainingCounts
from kdsl.sample import Label, Sample, Task, Turn

WORDS = "甲乙丙丁戊己"
TASK_NAMES = "子丑寅"
"""Names of labels that stand in no text."""
SEED = 3


def worlds() -> st.SearchStrategy[World]:
    """Worlds by number: a smaller number is no simpler world, so there is nothing to shrink."""
    return st.integers(0, 2**32 - 1).map(world)


def world(seed: int) -> World:
    """6 to 24 samples of two or three labels that words tell more or less, some rules of mining and of people."""
    source = random.Random(seed)
    n_labels, n = source.choice([2, 3]), source.randint(6, 24)
    labels = tuple([*range(n_labels), *(source.randrange(n_labels) for _ in range(n - n_labels))])
    told = source.choice([0.0, 0.5, 0.9])  # how often the word of a label stands in its samples
    texts = []
    for label in labels:
        words = {word for word in WORDS if source.random() < 0.3}
        words |= {WORDS[label]} if source.random() < told else set()
        texts.append("，".join(sorted(words)) or "无")
    sure = source.choice([0.0, 1.0, 3.0])
    scores = [[source.gauss(0, 1.5) + sure * (label == each) for each in range(n_labels)] for label in labels]
    model = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    n_folds = source.choice([2, 3])
    folds = tuple(source.sample([i % n_folds for i in range(n)], n))
    world = World(
        n_labels, tuple(texts), labels, folds, tuple(map(tuple, model.tolist())), (), ((),) * n_folds,
        source.uniform(-1.5, 1.5),
        (source.uniform(0, 1), *(source.uniform(-0.5, 0.5) for _ in range(5)), 0.0, 0.0, 0.0),
        source.random() < 0.1,
    )  # fmt: skip
    pool: list[tuple[Conditions, int]] = []
    for _ in range(source.randint(1, 8)):
        label = source.randrange(n_labels)
        conditions = tuple(
            (tuple(source.sample(WORDS, source.choice([1, 1, 2]))), i > 0 and source.random() < 0.5)
            for i in range(source.choice([1, 1, 2]))
        )
        if source.random() < 0.5:
            conditions = (((WORDS[label],), False),)
        if not any(known == label and same(conditions, other) for other, known in pool):
            pool.append((conditions, label))
    base, mined = [], [[] for _ in range(n_folds)]
    for conditions, label in pool:
        if source.random() < 0.8:
            status = source.choice(["proposed", "proposed", "accepted", "accepted", "rejected", "disabled"])
            approved = status == "accepted" and source.random() < 0.7
            measured = source.choice([None, source.uniform(0, 1)])
            base.append(Known(conditions, label, status, source.random() < 0.5, approved, measured))
        for fold in range(n_folds):
            if source.random() < 0.6:
                others = [i for i in range(n) if folds[i] != fold]
                mined[fold].append(Mined(conditions, label, counted(world, conditions, label, others)))
    return replace(world, base=tuple(base), mined=tuple(map(tuple, mined)))


@dataclass(frozen=True)
class Given:
    """A classifier that gives each sample what a world says: the sample's name is its place."""

    model: np.ndarray

    def predict(self, table: FieldTable) -> Predicted:
        return Predicted(self.model[[int(row.sample.id[1:]) for row in table.rows]])


def task_of(world: World) -> Task:
    return Task("world", tuple(Label(name) for name in TASK_NAMES[: world.n_labels]))


def table_of(world: World) -> FieldTable:
    return FieldTable(
        [Sample(f"s{i}", "world", (Turn("user", text),)) for i, text in enumerate(world.texts)], Sidecars()
    )


def written(conditions: Conditions) -> tuple[Condition, ...]:
    return tuple(Condition(field="user", terms=terms, negated=negated) for terms, negated in conditions)


def rules_of(world: World) -> list[Rule]:
    """The rule base: what people changed is by turns written, edited, or moved from another label."""
    task, rules = task_of(world), []
    for i, known in enumerate(world.base):
        label, conditions = TASK_NAMES[known.label], written(known.conditions)
        source, id_ = "mcts", rule_id(task.name, label, conditions)
        if not known.as_mined:
            source, id_ = [
                ("", id_),
                ("mcts", f"r-edited{i}"),
                ("mcts", rule_id(task.name, TASK_NAMES[(known.label + 1) % world.n_labels], conditions)),
            ][i % 3]
        rule = Rule(
            id=id_, label=label, when=When(all=conditions), status=known.status, provenance=Provenance(source=source)
        )  # fmt: skip
        if known.status == "accepted":
            rule = rule.model_copy(
                update={"review": Review(by="小王", of=rule.when_hash if known.approved else "0" * 16)}
            )
        rules.append(rule)
    return rules


def statistics_of(world: World) -> dict[tuple[str, str], RuleStatistics]:
    entries = {}
    for known, rule in zip(world.base, rules_of(world), strict=True):
        if known.measured is not None:
            counts = TrainingCounts(hits=1, correct=1, positives=1, samples=1)
            entries[rule.id, rule.when_hash] = RuleStatistics(
                id=rule.id,
                when=rule.when_hash,
                training=counts,
                reliability=known.measured,
                base_rate=0.5,
                candidates=1,
            )
    return entries


def archive_of(world: World) -> Archive:
    names = TASK_NAMES[: world.n_labels]
    return Archive(
        task="world",
        seed=SEED,
        reliability=Reliability(world.bias, world.coefficients, chance=world.chance),
        least_precision=0.0,
        base_rates={name: world.base_rate(label) for label, name in enumerate(names)},
        samples=tuple(f"s{i}" for i in range(len(world.texts))),
        folds=world.folds,
        held_out=tuple(
            tuple(
                ArchivedRule(
                    label=TASK_NAMES[rule.label],
                    when=written(rule.conditions),
                    shown=shown(rule.conditions, rule.counts),
                )
                for rule in rules
            )
            for rules in world.mined
        ),
    )


def shown(conditions: Conditions, counts: Counts) -> Shown:
    return Shown(
        counts.hits,
        counts.correct,
        positives=0,
        conditions=len(conditions),
        negations=sum(negated for _, negated in conditions),
        further_terms=sum(len(terms) - 1 for terms, _ in conditions),
        described=0.0,
    )


def arbiter_of(world: World, answered: np.ndarray | None = None) -> Arbiter:
    """What `fit_arbiter` makes of the world."""
    return fit_arbiter(
        task_of(world), table_of(world), np.array(world.labels), np.array(world.model), archive_of(world),
        rules_of(world), statistics_of(world), SEED, answered,
    )  # fmt: skip


def fitted(world: World) -> TrainedTask:
    """The arbiter with all that it needs to predict; the rules are the active ones."""
    active = tuple(rule for rule in rules_of(world) if rule.status in ("proposed", "accepted"))
    return TrainedTask(task_of(world), Given(np.array(world.model)), active, arbiter_of(world))
