"""The classifier of a project behind BentoML, for `scripts/bench serve`; see serving_litserve.py.

BentoML chooses itself how long it waits for more requests; it is allowed so long that it refuses none.
"""

import os
from typing import Any

import bentoml
from serving_peer import open_predictor, records_of, samples_of


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 4096}, logging={"access": {"enabled": False}})
class Classifier:
    def __init__(self) -> None:
        self._predictor = open_predictor(os.environ["BENCH_PROJECT"])

    @bentoml.api(
        batchable=True,
        max_batch_size=int(os.environ["BENCH_BATCH"]),
        max_latency_ms=60_000,
        route="/predict",
    )
    def predict(self, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return records_of(self._predictor, samples_of({"samples": samples}))
