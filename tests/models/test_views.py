"""How much each view counts: a view that tells the labels apart counts more, one of noise less."""

import numpy as np
import pytest
from concept_encoder import concept_vectors
from sklearn.linear_model import Ridge

import kdsl.models.views as views
from kdsl.fields.features import fit_features
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.views import fit_views, leaning, left_out_loss, view_kernels
from kdsl.sample import Sample, Turn

WISHES = {0: ["退款", "退钱", "refund"], 1: ["快递", "物流", "parcel"]}


def table_of(pairs: list[tuple[str, str]]) -> FieldTable:
    """What the user asks and what the agent answers."""
    samples = [
        Sample(str(i), "t", (Turn("user", asked), Turn("agent", answered)))
        for i, (asked, answered) in enumerate(pairs)
    ]
    return FieldTable(samples, Sidecars(vectors=concept_vectors()))


ANSWERS = ["好的呢", "稍等一下", "在的亲", "请看详情", "没有哦", "可以的"]


def with_meaning() -> tuple[FieldTable, np.ndarray]:
    """Words that differ from sample to sample, of which the meaning tells most labels; answers that tell none."""
    rng = np.random.default_rng(0)
    pairs, labels = [], []
    for row in range(60):
        label = row % 2
        noise = "".join(chr(0x4E00 + int(each)) for each in rng.integers(0, 400, 12))
        pairs.append((f"{noise}{WISHES[label][row // 2 % 3]}", ANSWERS[int(rng.integers(6))]))
        labels.append(1 - label if row % 5 == 0 else label)
    return table_of(pairs), np.array(labels)


def test_a_view_of_noise_counts_less_than_by_default_and_less_than_one_that_tells_the_labels_apart():
    table, labels = with_meaning()
    factors = fit_views(table, labels)
    assert factors["characters.last_agent"] < factors["meaning.last_user"]
    assert factors["characters"] < 1 < factors["meaning.last_user"]


def test_what_a_view_counts_depends_on_the_labels():
    table, labels = with_meaning()
    shuffled = np.random.default_rng(1).permutation(labels)
    assert fit_views(table, shuffled)["meaning.last_user"] < fit_views(table, labels)["meaning.last_user"]


def test_samples_keep_the_length_that_they_have_by_default():
    table, labels = with_meaning()
    features, _ = fit_features(table)
    weighted = features.weighted(fit_views(table, labels))
    lengths = [(each.matrix(table).power(2)).sum() for each in (features, weighted)]
    assert lengths[0] == pytest.approx(lengths[1])


def test_the_same_samples_give_the_same_factors():
    assert fit_views(*with_meaning()) == fit_views(*with_meaning())


def test_a_few_samples_keep_the_default_weights():
    table, labels = with_meaning()
    few = np.arange(views.LEAST_SAMPLES - 1)
    assert fit_views(table.select(few), labels[few]) == {}
    assert fit_views(table.select(range(views.LEAST_SAMPLES)), labels[: views.LEAST_SAMPLES]) != {}


def test_one_label_alone_keeps_the_default_weights():
    table, _ = with_meaning()
    assert fit_views(table, np.zeros(len(table), dtype=np.int64)) == {}


def test_copies_of_a_sample_take_no_part():
    table, labels = with_meaning()
    doubled = table.joined(
        FieldTable(
            [Sample(f"{row.sample.id}#1", "t", row.sample.turns, copy_of=row.sample.id) for row in table.rows],
            table.sidecars,
        )
    )
    assert fit_views(doubled, np.tile(labels, 2)) == fit_views(table, labels)


def test_of_many_samples_some_are_enough_and_every_label_keeps_its_share(monkeypatch: pytest.MonkeyPatch):
    table, labels = with_meaning()
    seen = []
    monkeypatch.setattr(views, "MOST_SAMPLES", 20)
    monkeypatch.setattr(views, "_search", lambda kernels, targets, free: seen.append(np.bincount(targets)) or {})
    fit_views(table, labels)
    assert [counts.tolist() for counts in seen] == [[10, 10]]


def test_the_loss_is_that_of_ridge_regressions_without_each_sample(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(3)
    points, targets = rng.normal(size=(14, 5)), np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])
    monkeypatch.setattr(views, "PENALTIES", (0.7,))
    monkeypatch.setattr(views, "SHARPNESS", (5.0,))
    losses = []
    for row in range(14):
        others = np.arange(14) != row
        # The targets are centred with the left-out one, whose share of the mean both sides have.
        one_hot = np.eye(3)[targets] - np.eye(3)[targets].mean(axis=0)
        scores = 5.0 * Ridge(alpha=0.7).fit(points[others], one_hot[others]).predict(points[[row]])[0]
        losses.append(np.log(np.exp(scores).sum()) - scores[targets[row]])
    assert left_out_loss(points @ points.T, targets) == pytest.approx(np.mean(losses), abs=1e-9)


def test_kernels_add_the_parts_of_a_view():
    table, _ = with_meaning()
    features, parts = fit_features(table)
    kernels = view_kernels(parts)
    whole = features.matrix(table)
    np.testing.assert_allclose(sum(kernels.values()), (whole @ whole.T).toarray(), atol=1e-9)
    assert {"characters", "characters.last_agent", "meaning.last_user"} <= set(kernels)


def test_leaning_is_the_share_of_the_squared_length_by_kind_of_view():
    parts = [
        ("characters", np.array([[2.0, 0.0]])),
        ("meaning.last_user", np.array([[0.0, 1.0]])),
        ("meaning.user", np.array([[1.0, 1.0]])),
        ("meaning.last_agent", np.array([[1.0]])),
        ("sight.edges", np.array([[0.0]])),
    ]
    assert leaning(parts) == pytest.approx({"characters": 0.5, "meaning": 0.375, "last_agent": 0.125})
