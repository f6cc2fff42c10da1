"""A teacher's samples are learned from whatever the embedded classifier is made of, and with changed copies too."""

from dataclasses import replace

import numpy as np
import pytest

from kdsl.augmentation.augmenter import Augmenter
from kdsl.augmentation.trainer import AugmentingTrainer
from kdsl.errors import KdslError
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.embedded import Embedded, EmbeddedTrainer
from kdsl.models.linear import LinearTrainer
from kdsl.models.soft_labels import SoftLabels, SoftLabelTrainer
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("调光", "咨询亮度是否可调"), Label("材质", "咨询面料成分")))
WORDS = ("请问亮度可以调节吗", "请问棉麻面料怎么样")
NEW = ("能不能变暗一点", "洗了会不会起球")
LABELS = np.arange(24) % 2


def table(texts: list[str], prefix: str, sidecars: Sidecars | None = None) -> FieldTable:
    samples = [
        Sample(f"{prefix}{i}", "shop", (Turn("user", text),), () if sidecars is None else (f"{prefix}{i}.png",))
        for i, text in enumerate(texts)
    ]
    return FieldTable(samples, sidecars or Sidecars())


@pytest.fixture
def people() -> FieldTable:
    return table([f"{WORDS[i % 2]}，{'甲乙丙丁'[i % 4]}款" for i in range(24)], "s")


@pytest.fixture
def soft_labels() -> SoftLabels:
    """Words that people's samples have not."""
    return SoftLabels(table([WORDS[i % 2] + NEW[i % 2] for i in range(40)], "u"), np.eye(2)[np.arange(40) % 2])


PARTS = [("linear",), ("linear", "described"), ("linear", "neighbours"), ("linear", "neighbours", "described")]


@pytest.mark.parametrize("copies", [0, 2])
@pytest.mark.parametrize("cleaned", [False, True])
@pytest.mark.parametrize("parts", PARTS)
def test_new_words_are_learned(people, soft_labels, parts, cleaned, copies):
    plain = EmbeddedTrainer(TASK, Embedded(parts, cleaned))
    trainer = AugmentingTrainer(plain, Augmenter(TASK, copies)) if copies else plain
    new = table(list(NEW), "n")
    before = trainer.fit(people, LABELS, 2).predict(new).probabilities
    after = trainer.with_soft_labels(soft_labels).fit(people, LABELS, 2).predict(new).probabilities
    assert after[0, 0] > before[0, 0] + 0.1
    assert after[1, 1] > before[1, 1] + 0.1


def test_on_cleaned_pages_a_teacher_s_pages_are_cleaned_too(people):
    """What is at the top of a screen is the phone's, not the page's: no word of it is learned."""
    lines = (OcrLine("12:30", 0.9, (1, 1, 60, 9)), OcrLine("洗护说明", 0.9, (1, 300, 90, 330)))
    pages = Sidecars({f"u{i}.png": OcrPage(f"u{i}.png", (400, 800), lines) for i in range(10)})
    pool = SoftLabels(table([WORDS[i % 2] for i in range(10)], "u", pages), np.eye(2)[np.arange(10) % 2])
    trainer = EmbeddedTrainer(TASK, Embedded(("linear",), cleaned=True)).with_soft_labels(pool)
    linear = trainer.fit(people, LABELS, 2).ensemble.parts["linear"]
    learned = {term for block in linear.features.blocks for term in block.vectorizer.vocabulary_}
    assert "洗护" in learned
    assert not any("12:3" in term for term in learned)


def test_beside_copies_a_teacher_s_sample_counts_as_much_of_one_of_people_s(people, soft_labels):
    """Three times the same people: the weights of all are three times as large, not of people's alone."""
    weights = []

    class Looked(LinearTrainer):
        def fit_shares(self, table, shares, given):
            weights.append(given)
            return super().fit_shares(table, shares, given)

    copies = [
        replace(row.sample, id=f"{row.sample.id} again {number}", copy_of=row.sample.id)
        for number in (1, 2)
        for row in people.rows
    ]
    together = FieldTable.of_rows([*people.rows, *FieldTable(copies, Sidecars()).rows])
    SoftLabelTrainer(Looked(), soft_labels).fit(people, LABELS, 2)
    SoftLabelTrainer(Looked(), soft_labels).fit(together, np.tile(LABELS, 3), 2)
    alone, beside = (each[-len(soft_labels) :].sum() / each[: -len(soft_labels)].sum() for each in weights)
    assert beside == pytest.approx(alone)


def test_what_is_fitted_without_a_fold_spares_no_rules_but_learns_soft_labels(people, soft_labels):
    rule = Rule(id="r-0001", label="调光", when=When(all=(Condition.model_validate({"user": ["亮度"]}),)))
    trainer = AugmentingTrainer(EmbeddedTrainer(TASK), Augmenter(TASK, 2, rules=(rule,))).with_soft_labels(soft_labels)
    of_folds = trainer.sparing(())
    assert of_folds.augmenter == Augmenter(TASK, 2)
    assert of_folds.inner.soft_labels is soft_labels


def test_neighbours_alone_learn_no_soft_labels(soft_labels):
    with pytest.raises(KdslError, match="large: neighbours learns from people's labels alone"):
        EmbeddedTrainer(TASK, Embedded(("neighbours",))).with_soft_labels(soft_labels)
