"""The linear classifier where a sample may have several labels: each is told from the rest by itself."""

import numpy as np
import pytest
from several_labels_world import LABELS, TOPICS, world

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import label_array, membership
from kdsl.models import linear
from kdsl.models.embedded import LINEAR, Embedded, EmbeddedClassifier, EmbeddedTrainer
from kdsl.models.linear import LinearTrainer
from kdsl.models.views import left_out_loss


def learned(n=120, seed=1):
    samples = world(n, seed)
    return FieldTable(samples, Sidecars()), label_array(samples, TOPICS)


def test_every_label_has_a_probability_of_its_own():
    table, labels = learned()
    classifier = EmbeddedTrainer(TOPICS).fit(table, labels, len(LABELS))
    fresh, truth = learned(200, 2)
    probabilities = classifier.predict(fresh).probabilities
    assert probabilities.shape == (200, 5) and (probabilities > 0).all() and (probabilities < 1).all()
    assert not np.allclose(probabilities.sum(axis=1), 1)
    said = probabilities >= 0.5
    held = membership(truth, 5)
    assert 2 * (said & held).sum() / (said.sum() + held.sum()) > 0.9
    assert probabilities.mean() == pytest.approx(held.mean(), abs=0.05)


def test_a_saved_classifier_gives_the_same_probabilities(tmp_path):
    table, labels = learned(40)
    classifier = EmbeddedTrainer(TOPICS).fit(table, labels, 5)
    classifier.save(tmp_path)
    loaded = EmbeddedClassifier.load(tmp_path, LINEAR, 5)
    assert (loaded.predict(table).probabilities == classifier.predict(table).probabilities).all()


def test_the_kernel_and_the_sparse_matrix_lead_to_the_same_classifier(monkeypatch):
    table, labels = learned(40)
    trainer = LinearTrainer(0, TOPICS, {})
    by_kernel = trainer.fit(table, labels, 5).predict(table).probabilities
    monkeypatch.setattr(linear, "MANY_SAMPLES", 0)
    assert np.abs(trainer.fit(table, labels, 5).predict(table).probabilities - by_kernel).max() < 0.02


@pytest.mark.parametrize("task", [None, TOPICS])
def test_a_label_that_no_sample_has_is_improbable_and_one_that_all_have_is_not(task):
    table, labels = learned(30)
    labels[:, 0], labels[:, 1] = 0, 1
    probabilities = LinearTrainer(0, task, {}).fit(table, labels, 5).predict(table).probabilities
    assert probabilities[:, 0].max() < 0.2
    assert probabilities[:, 1].min() > 0.8


def test_other_classifiers_know_one_label_a_sample():
    table, labels = learned(30)
    for parts in (("neighbours",), ("linear", "described")):
        with pytest.raises(KdslError, match="topics: its samples may have several labels"):
            EmbeddedTrainer(TOPICS, Embedded(parts)).fit(table, labels, 5)


def test_a_view_that_tells_the_labels_has_the_smaller_loss():
    random = np.random.default_rng(0)
    labels = (random.random((60, 3)) < 0.4).astype(np.int64)
    telling = labels + 0.3 * random.standard_normal((60, 3))
    noise = random.standard_normal((60, 3))
    # What the shares of the labels alone would lose, summed over labels.
    rates = labels.mean(axis=0)
    by_chance = float(-(rates * np.log(rates) + (1 - rates) * np.log(1 - rates)).sum())
    assert left_out_loss(telling @ telling.T, labels) < 0.5 * by_chance
    assert left_out_loss(noise @ noise.T, labels) == pytest.approx(by_chance, abs=0.2)
