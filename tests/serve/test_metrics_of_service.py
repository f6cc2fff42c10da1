"""What a service tells Prometheus: parsed as Prometheus does, with series of known names only."""

import re
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from made_decisions import decision, several
from prometheus_client.parser import text_string_to_metric_families

from kdsl.arbiter.state import PredictorState, RuleState
from kdsl.serve.metrics import ROUTES, Metrics
from kdsl.version import __version__

PAGE = Path(__file__).parents[2] / "docs/service.md"
VERSIONS = {"rules": "0a1b2c3d4e5f", "checkpoint": "1b2c3d4e5f60", "config": "2c3d4e5f6071"}
SHARES = {"shop": {"调光": 0.5, "材质": 0.3, "物流": 0.2}}
ACCEPTED = RuleState("调光", "a", "accepted", False)


def state(**rules: str) -> PredictorState:
    """Of the shop, with rules of these statuses: r_lamp="accepted" is r-lamp."""
    known = {name.replace("_", "-"): RuleState("调光", "a", status, False) for name, status in rules.items()}
    return PredictorState({"shop": "1"}, None, {"shop": known})


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.serves(state(r_lamp="accepted", r_linen="proposed"), VERSIONS, SHARES)
    return metrics


def told(metrics: Metrics, name: str, **labels: str) -> dict[tuple[str, ...], float] | float:
    """The series of that name: by the values of its labels, in the order of their names; of `labels` the value."""
    text, _ = metrics.render()
    found = {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode("utf-8"))
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    }
    return found[tuple(value for _, value in sorted(labels.items()))] if labels else found


def test_decisions_are_counted_by_who_decided(metrics):
    metrics.decided(
        [
            decision("a"),
            decision("b", (0.6, 0.3, 0.1), (0.3, 0.6, 0.1), ["r-lamp"]),
            decision("c", (0.2, 0.7, 0.1)),
            decision("d", below=0.9),
            decision("e", (0.1, 0.2, 0.7), other="物流"),
        ],
        0.1,
    )
    assert told(metrics, "kdsl_decisions_total") == {
        ("model", "shop"): 2, ("rules", "shop"): 1, ("abstained", "shop"): 1, ("other", "shop"): 1,
    }  # fmt: skip
    assert told(metrics, "kdsl_decided_labels_total") == {
        ("model", "调光", "shop"): 1, ("rules", "调光", "shop"): 1, ("model", "材质", "shop"): 1,
        ("other", "物流", "shop"): 1,
    }  # fmt: skip


def test_of_several_labels_each_is_counted_with_who_decided_it(metrics):
    metrics.decided([several("调光", "物流", rules=["r-lamp"]), several()], 0.1)
    assert told(metrics, "kdsl_decisions_total") == {("rules", "many"): 1, ("model", "many"): 1}
    assert told(metrics, "kdsl_decided_labels_total") == {("rules", "调光", "many"): 1, ("model", "物流", "many"): 1}
    assert told(metrics, "kdsl_confidence_ratio_count") == {}


def test_rules_that_count_are_there_before_they_hit_anything(metrics):
    metrics.serves(state(r_lamp="accepted", r_linen="proposed", r_dead="rejected", r_off="disabled"), VERSIONS, SHARES)
    assert told(metrics, "kdsl_rule_hits_total") == {("r-lamp", "shop"): 0, ("r-linen", "shop"): 0}
    metrics.decided([decision(rules=["r-lamp", "r-linen"]), decision(rules=["r-lamp"]), decision()], 0.1)
    assert told(metrics, "kdsl_rule_hits_total") == {("r-lamp", "shop"): 2, ("r-linen", "shop"): 1}
    assert told(metrics, "kdsl_decisions_without_rule_total") == {("shop",): 1}


def test_a_rule_that_counts_no_more_has_no_series(metrics):
    metrics.decided([decision(rules=["r-lamp", "r-linen"])], 0.1)
    metrics.serves(state(r_lamp="accepted", r_linen="rejected", r_new="proposed"), VERSIONS, SHARES)
    assert told(metrics, "kdsl_rule_hits_total") == {("r-lamp", "shop"): 1, ("r-new", "shop"): 0}
    metrics.decided([decision(rules=["r-lamp", "r-linen"])], 0.1)  # begun before
    assert told(metrics, "kdsl_rule_hits_total") == {("r-lamp", "shop"): 2, ("r-new", "shop"): 0}


def test_confidence_is_that_of_the_likeliest_label(metrics):
    metrics.decided([decision(merged=(0.7, 0.2, 0.1)), decision(merged=(0.05, 0.05, 0.9))], 0.1)
    assert told(metrics, "kdsl_confidence_ratio_sum") == {("shop",): pytest.approx(1.6)}
    assert told(metrics, "kdsl_confidence_ratio_bucket", le="0.6", task="shop") == 0
    assert told(metrics, "kdsl_confidence_ratio_bucket", le="0.7", task="shop") == 1
    assert told(metrics, "kdsl_confidence_ratio_bucket", le="0.9", task="shop") == 2


def test_batches_have_a_size_and_a_time(metrics):
    metrics.decided([decision()] * 3, 0.02)
    metrics.decided([decision()], 0.004)
    assert told(metrics, "kdsl_batch_samples_sum") == {(): 4}
    assert told(metrics, "kdsl_batch_samples_bucket", le="2.0") == 1
    assert told(metrics, "kdsl_batch_samples_bucket", le="4.0") == 2
    assert told(metrics, "kdsl_batch_duration_seconds_sum") == {(): pytest.approx(0.024)}
    assert told(metrics, "kdsl_batch_duration_seconds_bucket", le="0.005") == 1


def test_requests_are_counted_by_route_and_status(metrics):
    metrics.answered("/v1/predict", 200, 0.003)
    metrics.answered("/v1/predict", 503, 0.2)
    metrics.answered("/healthz", 200, 0.001)
    assert told(metrics, "kdsl_requests_total") == {
        ("/v1/predict", "200"): 1, ("/v1/predict", "503"): 1, ("/healthz", "200"): 1,
    }  # fmt: skip
    assert told(metrics, "kdsl_request_duration_seconds_count") == {("/v1/predict",): 2, ("/healthz",): 1}
    assert told(metrics, "kdsl_request_duration_seconds_sum", route="/v1/predict") == pytest.approx(0.203)


def test_what_a_client_makes_up_is_no_new_series(metrics):
    for number in range(200):
        metrics.answered(f"/v1/predict/{number}", number * 7919, 0.1)
    assert set(told(metrics, "kdsl_request_duration_seconds_count")) == {("other",)}
    assert told(metrics, "kdsl_requests_total") == {("other", "other"): 200}
    for route in ROUTES:
        metrics.answered(route, 200, 0.1)
    assert {route for route, _ in told(metrics, "kdsl_requests_total")} == {*ROUTES, "other"}


def test_what_waits_and_what_is_wrong_is_as_it_was_told_last(metrics):
    assert told(metrics, "kdsl_waiting_samples") == told(metrics, "kdsl_problems") == {(): 0}
    metrics.waiting(12)
    metrics.waiting(3)
    metrics.problems(2)
    assert (told(metrics, "kdsl_waiting_samples"), told(metrics, "kdsl_problems")) == ({(): 3}, {(): 2})


def test_reloads_and_the_log_are_counted_by_outcome_from_the_start(metrics):
    assert told(metrics, "kdsl_reloads_total") == told(metrics, "kdsl_log_writes_total") == {
        ("done",): 0, ("failed",): 0,
    }  # fmt: skip
    metrics.reloaded(True)
    metrics.reloaded(False)
    metrics.reloaded(False)
    metrics.logged(True)
    assert told(metrics, "kdsl_reloads_total") == {("done",): 1, ("failed",): 2}
    assert told(metrics, "kdsl_log_writes_total") == {("done",): 1, ("failed",): 0}


def test_the_versions_are_those_that_decide_now(metrics):
    metrics.serves(state(), VERSIONS | {"rules": "ffffffffffff"}, SHARES)
    assert told(metrics, "kdsl_served_info") == {("1b2c3d4e5f60", "2c3d4e5f6071", "ffffffffffff"): 1}
    assert told(metrics, "kdsl_build_info") == {(__version__,): 1}


def drift(metrics: Metrics) -> Mapping:
    return told(metrics, "kdsl_label_drift")


def test_drift_is_told_from_the_first_decision_on_with_how_many_it_is_told_by(metrics):
    assert drift(metrics) == told(metrics, "kdsl_label_drift_decisions") == {}
    metrics.decided([decision(merged=(0.7, 0.2, 0.1))] * 5 + [decision(merged=(0.2, 0.7, 0.1))] * 3, 0.1)
    metrics.decided([decision(merged=(0.1, 0.1, 0.8))] * 2, 0.1)
    assert drift(metrics) == {("shop",): pytest.approx(0, abs=1e-12)}  # as in training
    assert told(metrics, "kdsl_label_drift_decisions", task="shop") == 10
    metrics.decided([decision(merged=(0.1, 0.1, 0.8))] * 20, 0.1)
    assert drift(metrics)["shop",] > 0.25


def test_a_decision_for_a_person_drifts_as_what_it_would_have_been(metrics):
    likely = {"调光": (0.5, 0.3, 0.2), "材质": (0.3, 0.5, 0.2), "物流": (0.2, 0.3, 0.5)}
    for label, number in (("调光", 5), ("材质", 3), ("物流", 2)):
        metrics.decided([decision(merged=likely[label], below=0.9)] * number, 0.1)
    assert drift(metrics) == {("shop",): pytest.approx(0, abs=1e-12)}


def test_of_a_task_that_learned_from_no_labels_there_is_no_drift(metrics):
    metrics.decided([decision(task="cold"), several("调光")], 0.1)
    assert drift(metrics) == {}
    metrics.serves(state(), VERSIONS, {})
    metrics.decided([decision()], 0.1)
    assert drift(metrics) == {}


def test_drift_of_several_labels(metrics):
    metrics.serves(state(), VERSIONS, {"many": {"调光": 1.0, "材质": 0.5, "物流": 0.0}})
    metrics.decided([several("调光"), several("调光", "材质")], 0.1)
    assert drift(metrics) == {("many",): pytest.approx(0, abs=1e-12)}
    metrics.decided([several()] * 20, 0.1)
    assert drift(metrics)["many",] > 0.25


def test_another_training_begins_the_drift_anew_and_new_rules_do_not(metrics):
    metrics.decided([decision()], 0.1)
    metrics.serves(state(r_new="proposed"), VERSIONS, {"shop": dict(SHARES["shop"])})
    assert told(metrics, "kdsl_label_drift_decisions") == {("shop",): 1}
    metrics.serves(state(), VERSIONS, {"shop": SHARES["shop"] | {"调光": 0.4, "材质": 0.4}})
    assert drift(metrics) == {}


def test_every_metric_has_a_type_and_help_and_a_name_in_base_units(metrics):
    metrics.decided([decision(rules=["r-lamp"])], 0.1)
    metrics.answered("/v1/predict", 200, 0.003)
    text, kind = metrics.render()
    assert kind.startswith("text/plain; version=")
    for family in text_string_to_metric_families(text.decode("utf-8")):
        assert family.type != "unknown" and family.documentation
        assert family.name.startswith(("kdsl_", "process_"))
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
    assert b"_created" not in text  # a second series for each
    assert 'label="调光"'.encode() in text


def test_the_page_lists_every_metric_with_its_labels(metrics):
    metrics.decided([decision(rules=["r-lamp"])], 0.1)
    metrics.answered("/v1/predict", 200, 0.003)
    rows = re.findall(r"^\| `(kdsl_\w+)` \| (\w+)[^|]*\|([^|]*)\|", PAGE.read_text("utf-8"), re.MULTILINE)
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    text, _ = metrics.render()
    served = {}
    for family in text_string_to_metric_families(text.decode("utf-8")):
        if family.name.startswith("kdsl_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            served[name] = family.type, {label for sample in family.samples for label in sample.labels} - {"le"}
    assert listed == served


def test_a_label_with_signs_of_the_format_comes_back(metrics):
    odd = 'a "b"\\\n{c=1}'
    metrics.decided([decision(labels=(odd, "b", "c"))], 0.1)
    assert told(metrics, "kdsl_decided_labels_total") == {("model", odd, "shop"): 1}


def test_a_service_has_metrics_of_its_own(metrics):
    metrics.waiting(5)
    assert told(Metrics(), "kdsl_waiting_samples") == {(): 0}


def test_threads_lose_no_count(metrics):
    def work() -> None:
        for _ in range(100):
            metrics.decided([decision(rules=["r-lamp"])] * 3, 0.1)
            metrics.render()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(metrics, "kdsl_rule_hits_total", rule="r-lamp", task="shop") == 1200
    assert told(metrics, "kdsl_label_drift_decisions") == {("shop",): 1000}
