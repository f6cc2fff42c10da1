"""The description of the service's API in the form of OpenAPI 3.1, with the tasks and labels of the project.

FastAPI can derive such a description only where it reads the bodies itself; the routes do that, because it is faster.
So it is written here, of the models in `schema.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from kdsl.sample import Label, Task
from kdsl.serve import schema
from kdsl.version import __version__

_MODELS = (
    schema.PredictRequest,
    schema.Predictions,
    schema.Explanation,
    schema.FeedbackRequest,
    schema.Saved,
    schema.Alive,
    schema.Ready,
    schema.Error,
)
REFUSALS = {
    400: "The request is not well formed, or without a token it calls this computer by another name.",
    401: "The token is missing or wrong.",
    403: "A page of another site asks a service without a token.",
    404: "That id is none of the last decisions, or there is no such address.",
    405: "The address takes another method.",
    408: "The request did not end in time.",
    409: "The task is not trained or for other labels, or the project has no place for feedback.",
    413: "The request, a picture, a sound or the number of samples is too large.",
    415: "The body is neither JSON nor a multipart form.",
    422: "Something in the body is wrong; the sentence names it.",
    500: "A fault of the service; its log says more.",
    503: "Too much waits, or it cannot be decided in time: try again after Retry-After seconds.",
}
"""Status of HTTP → what it means here."""
_OF_ALL = (400, 401, 403, 405, 500)
_OF_BODIES = (408, 409, 413, 415, 422, 503)
_ANY_TASK = Task("shop", (Label("refund"), Label("size")))
"""What examples are about where no project is known."""


def openapi(tasks: Sequence[Task]) -> dict[str, Any]:
    """The description for a project with these tasks; the examples use the first of them.

    `x-tasks` lists all tasks with their labels: {"name", "multi", "labels": [{"name", "description"}]}.
    """
    task = tasks[0] if tasks else _ANY_TASK
    ask, answer, right = _request(task), _prediction(task), _feedback(task)
    _, models = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "KDSL",
            "version": __version__,
            "summary": "Decisions about samples, with the rules behind them, and what people say about them.",
        },
        "security": [{"token": []}],
        "paths": {
            "/v1/predict": {
                "post": {
                    "operationId": "predict",
                    "summary": "Decide about samples",
                    "description": "One prediction for each sample, in their order. "
                    "If one sample is wrong, none is decided.",
                    "requestBody": _samples(ask),
                    "responses": {
                        "200": _json("The predictions.", "Predictions", {"predictions": [answer]}),
                        **_refusals(*_OF_BODIES),
                    },
                }
            },
            "/v1/explain": {
                "post": {
                    "operationId": "explain",
                    "summary": "Explain the decision about one sample",
                    "description": "Takes what /v1/predict takes, with one sample. If Accept asks for "
                    "text/html, the answer is HTML for people, without scripts: the text with the evidence marked, "
                    "the rules, the reason.",
                    "requestBody": _samples(ask),
                    "responses": {
                        "200": {
                            "description": "The prediction and its explanation.",
                            "content": {
                                "application/json": {"schema": _ref("Explanation")},
                                "text/html": {"schema": {"type": "string"}},
                            },
                        },
                        **_refusals(*_OF_BODIES),
                    },
                }
            },
            "/v1/feedback": {
                "post": {
                    "operationId": "feedback",
                    "summary": "Say which label is right",
                    "description": "Kept in a file that check, mine, train and the review page read. "
                    "The last word about a sample counts.",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _ref("FeedbackRequest"), "example": right}},
                    },
                    "responses": {
                        "200": _json("It is on disk.", "Saved"),
                        **_refusals(404, *_OF_BODIES),
                    },
                }
            },
            "/healthz": {
                "get": {
                    "operationId": "healthz",
                    "summary": "Does the process answer?",
                    "description": "Needs no token. If it fails, start the service again.",
                    "security": [],
                    "responses": {"200": _json("It does.", "Alive"), **_refusals(open_to_all=True)},
                }
            },
            "/readyz": {
                "get": {
                    "operationId": "readyz",
                    "summary": "Can it decide, and with what?",
                    "description": "Needs no token. Send requests only to a service that answers 200 here.",
                    "security": [],
                    "responses": {
                        "200": _json("It can; problems says what is broken nevertheless.", "Ready"),
                        **_refusals(open_to_all=True),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Figures for Prometheus",
                    "description": "Counts since the start, in the text format of Prometheus.",
                    "responses": {
                        "200": {
                            "description": "The figures.",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        },
                        **_refusals(),
                    },
                }
            },
        },
        "components": {
            "schemas": models["$defs"],
            "responses": {f"Refused{status}": _json(meaning, "Error") for status, meaning in REFUSALS.items()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The one in KDSL_TOKEN, or the one that kdsl serve printed at its start.",
                }
            },
        },
        "x-tasks": [
            {
                "name": each.name,
                "multi": each.multi,
                "labels": [{"name": label.name, "description": label.description} for label in each.labels],
            }
            for each in tasks
        ],
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, name: str, example: Mapping[str, Any] | None = None) -> dict[str, Any]:
    content = {"schema": _ref(name), **({} if example is None else {"example": example})}
    return {"description": description, "content": {"application/json": content}}


def _refusals(*statuses: int, open_to_all: bool = False) -> dict[str, Any]:
    """By status; a route that needs no token does not refuse who has none."""
    every = [status for status in _OF_ALL if status != 401 or not open_to_all]
    return {str(status): {"$ref": f"#/components/responses/Refused{status}"} for status in sorted([*every, *statuses])}


def _samples(example: Mapping[str, Any]) -> dict[str, Any]:
    """The body of /v1/predict: JSON, or a form with JSON and files."""
    form = {
        "type": "object",
        "properties": {"samples": {"type": "array", "items": _ref("SampleIn")}},
        "required": ["samples"],
        "additionalProperties": {
            "type": "string",
            "format": "binary",
            "description": "Files, whose names are those in images and audio.",
        },
    }
    return {
        "required": True,
        "content": {
            "application/json": {"schema": _ref("PredictRequest"), "example": example},
            "multipart/form-data": {"schema": form, "encoding": {"samples": {"contentType": "application/json"}}},
        },
    }


def _request(task: Task) -> dict[str, Any]:
    return {"samples": [{"id": "a17", "task": task.name, "text": "Where is my parcel?"}]}


def _feedback(task: Task) -> dict[str, Any]:
    label = task.label_names[0]
    return {
        "id": "a17",
        "task": task.name,
        "label": [label] if task.multi else label,
        "by": "Ada",
        "sample": _request(task)["samples"][0],
    }


def _prediction(task: Task) -> dict[str, Any]:
    """As it could be: rules change the model's label, the second one, to the first."""
    first, second = task.label_names[0], task.label_names[-1]
    evidence = {"condition": 0, "field": "text", "term": "parcel", "turn": 0, "span": [12, 18]}
    reason = f"rule r-7f3k2m9q (text has parcel) speaks for {first} (0.91 against 0.09 for the model's {second})"
    rules = [{"id": "r-7f3k2m9q", "label": first, "reliability": 0.93, "evidence": [evidence]}]
    common = {"id": "a17", "task": task.name}
    if not task.multi:
        others = dict.fromkeys(task.label_names, 0.0)
        return {
            **common,
            "label": first,
            "probabilities": others | {second: 0.09, first: 0.91},
            "model": {
                "label": second,
                "probability": 0.55,
                "probabilities": others | {first: 0.45, second: 0.55},
            },
            "rules": rules,
            "decision": {"by": "rules", "label_without_rules": second, "reason": reason},
        }
    own = {"holds": True, "probability": 0.91, "threshold": 0.5, "by": "rules", "holds_without_rules": False}
    return {
        **common,
        "label": [first],
        "probabilities": dict.fromkeys(task.label_names, 0.1) | {first: 0.91},
        "model": {"label": [], "probabilities": dict.fromkeys(task.label_names, 0.1)},
        "rules": rules,
        "decision": {"by": "rules", "label_without_rules": [], "reason": f"{first}: {reason}"},
        "decisions": {first: {**own, "reason": reason}},
    }
