"""The classifier of a project behind LitServe, for `scripts/bench serve`; run by path inside LitServe's environment.

    python serving_litserve.py PROJECT PORT BATCH WAIT

It decides what `kdsl serve` decides, with the same predictor: at most BATCH requests at once, of those that came
within WAIT seconds. It has no decision log, no limits and no metrics.
"""

import sys
from typing import Any

import litserve
from serving_peer import open_predictor, records_of, samples_of


class Classifier(litserve.LitAPI):
    def __init__(self, project: str, batch: int, wait: float) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=wait, api_path="/predict")
        self._project = project

    def setup(self, device: str) -> None:
        self._predictor = open_predictor(self._project)

    def decode_request(self, request: dict[str, Any]) -> list[Any]:
        return samples_of(request)

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, x: list[list[Any]]) -> list[list[dict[str, Any]]]:
        decided = iter(records_of(self._predictor, [sample for samples in x for sample in samples]))
        return [[next(decided) for _ in samples] for samples in x]

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    project, port, batch, wait = sys.argv[1:]
    server = litserve.LitServer(
        Classifier(project, int(batch), float(wait)), accelerator="cpu", workers_per_device=1, timeout=60
    )
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False, access_log=False)
