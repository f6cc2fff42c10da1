"""The description of the API is OpenAPI 3.1, and says of bodies and answers what is true."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
from pydantic import ValidationError
from service_shop import MONEY, RETURNS

from kdsl.sample import Label, Task
from kdsl.serve import schema
from kdsl.serve.openapi import openapi

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

TOPICS = Task("topics", (Label("质量", "it is broken"), Label("物流")), multi=True)
TASKS = [RETURNS, TOPICS]


@pytest.fixture
def client(serve) -> "TestClient":
    client = serve("secret")
    client.headers["Authorization"] = "Bearer secret"
    return client


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a description."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def found(description: dict[str, Any], reference: str) -> Any:
    value: Any = description
    for key in reference.removeprefix("#/").split("/"):
        value = value[key]
    return value


def test_every_reference_leads_somewhere_and_every_schema_is_used():
    description = openapi(TASKS)
    references = {node["$ref"] for node in nodes(description) if "$ref" in node}
    for reference in references:
        assert found(description, reference)
    schemas = {f"#/components/schemas/{name}" for name in description["components"]["schemas"]}
    responses = {f"#/components/responses/{name}" for name in description["components"]["responses"]}
    assert schemas | responses <= references


def test_it_has_what_openapi_asks_of_every_operation():
    description = openapi(TASKS)
    assert description["openapi"] == "3.1.0" and description["info"]["title"] and description["info"]["version"]
    operations = [route for methods in description["paths"].values() for route in methods.values()]
    names = [route["operationId"] for route in operations]
    assert len(set(names)) == len(names) == 6
    for route in operations:
        assert "200" in route["responses"]
        for status, answer in route["responses"].items():
            assert re.fullmatch(r"\d{3}", status)
            assert found(description, answer["$ref"])["description"] if "$ref" in answer else answer["description"]


def test_all_routes_ask_for_the_token_but_those_of_load_balancers():
    description = openapi(TASKS)
    open_to_all = {path for path, methods in description["paths"].items() for r in methods.values() if "security" in r}
    assert description["security"] == [{"token": []}] and open_to_all == {"/healthz", "/readyz"}
    assert description["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in description["paths"].items():
        for route in methods.values():
            assert ("401" in route["responses"]) == (path not in open_to_all)


def test_a_form_finds_tasks_and_labels():
    assert openapi(TASKS)["x-tasks"] == [
        {
            "name": "returns",
            "multi": False,
            "labels": [{"name": "退款", "description": ""}, {"name": "尺码", "description": ""}],
        },
        {
            "name": "topics",
            "multi": True,
            "labels": [{"name": "质量", "description": "it is broken"}, {"name": "物流", "description": ""}],
        },
    ]
    assert openapi([])["x-tasks"] == []


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_its_examples_are_as_it_describes_them(task: Task):
    paths = openapi([task])["paths"]
    for path, model in (("/v1/predict", schema.PredictRequest), ("/v1/feedback", schema.FeedbackRequest)):
        model.model_validate(paths[path]["post"]["requestBody"]["content"]["application/json"]["example"])
    answer = paths["/v1/predict"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    [prediction] = schema.Predictions.model_validate(answer).predictions
    assert set(prediction.probabilities) == set(prediction.model.probabilities) == set(task.label_names)


def test_text_and_turns_together_are_described_as_wrong():
    sample = openapi(TASKS)["components"]["schemas"]["SampleIn"]
    assert sample["not"] == {"required": ["text", "turns"]} and sample["additionalProperties"] is False


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/explain", "/v1/feedback"])
def test_the_service_takes_the_examples_and_answers_as_described(client, path):
    description = client.get("/openapi.json").json()
    route = description["paths"][path]["post"]
    answer = client.post(path, json=route["requestBody"]["content"]["application/json"]["example"])
    assert answer.status_code == 200, answer.text
    name = route["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
    getattr(schema, name).model_validate(answer.json())


def test_predictions_have_no_key_that_is_not_described(client):
    answer = client.post("/v1/predict", json={"samples": [{"task": "returns", "text": "钱"}]})
    [prediction] = schema.Predictions.model_validate(answer.json()).predictions
    assert MONEY.id in [hit.id for hit in prediction.rules] and prediction.rules[0].evidence
    with pytest.raises(ValidationError):
        schema.Prediction.model_validate({**answer.json()["predictions"][0], "colour": "red"})


def test_so_it_is_with_several_labels_a_sample():
    from several_labels_world import LABELS

    from kdsl.arbiter.multi_label_decision import LabelDecision, MultiLabelDecision
    from kdsl.sample import Sample

    label = LabelDecision(LABELS[0], 0.8, 0.4, 0.2, 0.4, (), "all")
    record = MultiLabelDecision(Sample("1", "topics"), LABELS[:1], (label,), ()).record()
    assert schema.Prediction.model_validate(record).label == [LABELS[0]]


@pytest.mark.parametrize(("path", "model"), [("/healthz", schema.Alive), ("/readyz", schema.Ready)])
def test_what_load_balancers_ask_is_answered_as_described_without_a_token(client, path, model):
    answer = client.get(path, headers={"Authorization": ""})
    assert answer.status_code == 200
    model.model_validate(answer.json())


def test_the_description_needs_the_token_as_it_tells_labels(client):
    answer = client.get("/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 401
    schema.Error.model_validate(answer.json())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "{", "application/json"),
        (413, "[" + "1" * (17 << 20), "application/json"),
        (415, "samples", "text/csv"),
        (422, '{"samples": [{"task": "returns", "text": "钱", "colour": "red"}]}', "application/json"),
    ],
)
def test_refusals_are_among_those_described(client, status, body, kind):
    answer = client.post("/v1/predict", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    schema.Error.model_validate(answer.json())
    assert str(status) in openapi(TASKS)["paths"]["/v1/predict"]["post"]["responses"]
