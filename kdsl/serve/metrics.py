"""What a service counts and measures, as Prometheus reads it from /metrics: docs/service.md lists all of it.

Labels of metrics have values from closed lists only: those of the project, and of this file. Whatever a client sends,
it makes no new series.
"""

import threading
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.multi_label_decision import AnyDecision, MultiLabelDecision
from kdsl.arbiter.state import PredictorState
from kdsl.serve.drift import LabelDrift
from kdsl.version import __version__

Shares = Mapping[str, Mapping[str, float]]
"""Task → label → its share in training; see `Predictor.label_shares`."""

ROUTES = (
    "/v1/predict", "/v1/explain", "/v1/feedback", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json",
)  # fmt: skip
OTHER = "other"
"""Stands for every other route, and for what is no status of HTTP."""
_STATUSES = range(100, 600)
_OUTCOMES = {True: "done", False: "failed"}

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SAMPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """The metrics of one service, in a registry of its own. Safe for threads."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for each, which nobody looks at; the switch is the library's own
        self._registry = registry = CollectorRegistry()
        self._decisions = Counter(
            "kdsl_decisions_total",
            "Decisions, by who decided: model, rules, other, or abstained where a person has to.",
            ("task", "by"),
            registry=registry,
        )
        self._labels = Counter(
            "kdsl_decided_labels_total",
            "Labels that decisions gave: none where a person has to decide, any number of several labels a sample.",
            ("task", "label", "by"),
            registry=registry,
        )
        self._without_rule = Counter(
            "kdsl_decisions_without_rule_total",
            "Decisions on samples on which no rule held.",
            ("task",),
            registry=registry,
        )
        self._hits = Counter(
            "kdsl_rule_hits_total", "Decisions on samples on which a rule held.", ("task", "rule"), registry=registry
        )
        self._confidence = Histogram(
            "kdsl_confidence_ratio",
            "Probability of the likeliest label, of tasks with one label a sample.",
            ("task",),
            buckets=_CONFIDENCE,
            registry=registry,
        )
        self._batch_samples = Histogram(
            "kdsl_batch_samples", "Samples that were decided at once.", buckets=_SAMPLES, registry=registry
        )
        self._batch_seconds = Histogram(
            "kdsl_batch_duration_seconds", "How long deciding a batch took.", buckets=_SECONDS, registry=registry
        )
        self._requests = Counter(
            "kdsl_requests_total", "Requests that were answered.", ("route", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "kdsl_request_duration_seconds",
            "How long requests took, reading the body included.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._waiting = Gauge("kdsl_waiting_samples", "Samples that wait for their decision.", registry=registry)
        self._reloads = Counter(
            "kdsl_reloads_total",
            "How often changed files were read again; failed where those of before stay in force.",
            ("outcome",),
            registry=registry,
        )
        self._problems = Gauge(
            "kdsl_problems", "How many problems /readyz tells: above 0 the service is degraded.", registry=registry
        )
        self._log_writes = Counter(
            "kdsl_log_writes_total", "Batches for the decision log.", ("outcome",), registry=registry
        )
        self._served = Info("kdsl_served", "What decides now: its versions, as in the log.", registry=registry)
        Info("kdsl_build", "The version of KDSL.", registry=registry).info({"version": __version__})
        ProcessCollector(registry=registry)
        self._drift = _DriftCollector()
        registry.register(self._drift)
        for counter in (self._reloads, self._log_writes):
            for outcome in _OUTCOMES.values():
                counter.labels(outcome)
        self._rules: frozenset[tuple[str, str]] = frozenset()

    def serves(self, state: PredictorState, versions: Mapping[str, str], shares: Shares) -> None:
        """What decides from now on: to be told at the start, and whenever rules or checkpoint are read again.

        Rules that count have a series each, before they hit anything too, and others none. `versions` are those of
        `kdsl.project.versions`; tasks that are not in `shares` have no drift.
        """
        rules = frozenset(
            (task, id) for task, known in state.rules.items() for id, rule in known.items() if rule.active
        )
        for gone in self._rules - rules:
            self._hits.remove(*gone)
        for each in rules:
            self._hits.labels(*each)
        self._rules = rules
        self._served.info(dict(versions))
        self._drift.compare_with(shares)

    def decided(self, decisions: Sequence[AnyDecision], seconds: float) -> None:
        """A batch was decided, in so many seconds."""
        for task in dict.fromkeys(each.sample.task for each in decisions):
            self._count(task, [each for each in decisions if each.sample.task == task])
        self._drift.add(decisions)
        self._batch_samples.observe(len(decisions))
        self._batch_seconds.observe(seconds)

    def _count(self, task: str, decisions: Sequence[AnyDecision]) -> None:
        whose = [each.by for each in decisions]
        labels = Tally(given for each, by in zip(decisions, whose, strict=True) for given in _given(each, by))
        hits = Tally(hit.rule.id for each in decisions for hit in each.rules)
        for by, number in Tally(whose).items():
            self._decisions.labels(task, by).inc(number)
        for (label, by), number in labels.items():
            self._labels.labels(task, label, by).inc(number)
        for rule, number in hits.items():
            if (task, rule) in self._rules:
                self._hits.labels(task, rule).inc(number)
        self._without_rule.labels(task).inc(sum(not each.rules for each in decisions))
        sure = [float(each.merged.max()) for each in decisions if isinstance(each, Decision)]
        if sure:
            confidence = self._confidence.labels(task)
            for probability in sure:
                confidence.observe(probability)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered: `route` is one of `ROUTES`, or else it counts as `OTHER`."""
        known = route if route in ROUTES else OTHER
        self._requests.labels(known, str(status) if status in _STATUSES else OTHER).inc()
        self._request_seconds.labels(known).observe(seconds)

    def waiting(self, samples: int) -> None:
        """So many samples wait for their decision now."""
        self._waiting.set(samples)

    def reloaded(self, ok: bool) -> None:
        """Files that have changed were read again, or could not be."""
        self._reloads.labels(_OUTCOMES[ok]).inc()

    def problems(self, number: int) -> None:
        """/readyz tells of so many problems now."""
        self._problems.set(number)

    def logged(self, ok: bool) -> None:
        """A batch of decisions was logged, or could not be."""
        self._log_writes.labels(_OUTCOMES[ok]).inc()

    def render(self) -> tuple[bytes, str]:
        """All of it in the text format of Prometheus, and the type of that."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def _given(decision: AnyDecision, by: str) -> Iterable[tuple[str, str]]:
    """The labels that it gave, and who decided each; `by` is who decided."""
    if isinstance(decision, MultiLabelDecision):
        return [(each.label, each.by) for each in decision.held]
    return () if by == "abstained" else ((decision.likeliest, by),)


class _DriftCollector(Collector):
    """The drift of every task whose shares in training are known and that has decided something, when asked for."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._shares: Shares = {}
        self._drifts: dict[str, LabelDrift] = {}

    def compare_with(self, shares: Shares) -> None:
        """Decisions are compared with these from now on, those of before only where the shares are the same."""
        with self._mutex:
            kept = {task: drift for task, drift in self._drifts.items() if shares.get(task) == self._shares.get(task)}
            self._shares, self._drifts = shares, kept

    def add(self, decisions: Sequence[AnyDecision]) -> None:
        """One that a person has to decide counts for its likeliest label: training knows no other."""
        with self._mutex:
            for decision in decisions:
                task, several = decision.sample.task, isinstance(decision, MultiLabelDecision)
                if task in self._shares and task not in self._drifts:
                    self._drifts[task] = LabelDrift(self._shares[task], several)
                if task in self._drifts:
                    labels = (decision.likeliest,) if isinstance(decision, Decision) else decision.label
                    self._drifts[task].add(labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._mutex:
            found = [(task, drift.index, len(drift)) for task, drift in sorted(self._drifts.items())]
        index = GaugeMetricFamily(
            "kdsl_label_drift",
            "Population stability index of the labels of the last decisions, 1000 at most, against training.",
            labels=("task",),
        )
        number = GaugeMetricFamily(
            "kdsl_label_drift_decisions", "How many decisions the drift is measured on.", labels=("task",)
        )
        for task, drift, decisions in found:
            index.add_metric((task,), drift)
            number.add_metric((task,), decisions)
        yield index
        yield number
