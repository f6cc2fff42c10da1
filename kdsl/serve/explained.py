"""Explanations, as the service gives them."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from kdsl.models.explanation import Explanation


def explanation_record(explanation: Explanation | None, labels: Sequence[str]) -> dict[str, Any] | None:
    """What the classifier went by besides the sample, as a JSON object; None for one that cannot tell."""
    if explanation is None:
        return None
    near = explanation.near
    described = explanation.described
    return {
        "near": None if near is None else [
            {"id": each.id, "label": labels[each.label], "similarity": round(each.similarity, 4), "words": each.words}
            for each in near
        ],
        "described": None if described is None else {
            "label": labels[described.label], "likeness": round(described.likeness, 4)
        },
        "weights": {name: round(weight, 4) for name, weight in explanation.weights.items()},
    }  # fmt: skip


def named_files(html: str, kept: Mapping[str, str]) -> str:
    """An explanation in HTML with the files that came along called what the request calls them."""
    for path, name in kept.items():
        html = html.replace(escape(path), escape(name))
    return html
