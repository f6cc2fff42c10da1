"""Which models a server has, and the one that is meant."""

from typing import Any

from kdsl.errors import KdslError
from kdsl.vlm.http_client import HttpClient, ServerError


def served_models(client: HttpClient, name: str) -> dict[str, dict[str, Any]]:
    """Model name → what the server says of it; KdslError where it says nothing of the kind."""
    try:
        answer = client.get("/models")
    except ServerError as error:
        if error.status == 404 and name:  # not every proxy lists its models
            return {name: {}}
        raise
    models = answer.get("data")
    if not isinstance(models, list) or not all(isinstance(m, dict) and isinstance(m.get("id"), str) for m in models):
        raise client.garbage("/models", "an answer without a list of models")
    return {model["id"]: model for model in models}


def chosen_model(url: str, served: dict[str, dict[str, Any]], name: str) -> str:
    """The model called `name`, or the only one; KdslError where that is none of the `served` ones."""
    if not served:
        raise KdslError(f"{url}: the server has no model; load one there")
    names = ", ".join(served)
    if name and name not in served:
        raise KdslError(f"{url}: the server has no model {name!r}; it serves {names}")
    if not name and len(served) != 1:
        example = next(iter(served))
        raise KdslError(f"{url}: name one of the models that the server has ({names}), like {url}#{example}")
    return name or next(iter(served))
