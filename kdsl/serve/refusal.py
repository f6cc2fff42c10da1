"""What the service says to who asks for something that it cannot do: a status of HTTP, and one sentence."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from kdsl.json_file import json_bytes

COME_AGAIN = 1
"""Seconds after which who was sent away because of too much work may come again."""


class Refusal(Exception):
    """Ends a request with `status` and `sentence`, and with `headers` where HTTP wants them."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence
        self.headers = dict(headers or {})

    def response(self) -> Response:
        return json_answer({"error": self.sentence}, self.status, self.headers)


def json_answer(value: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON for whatever texts there are: names of files too, which may hold half a character."""
    return Response(json_bytes(value), status, headers, "application/json")


def come_again(sentence: str) -> Refusal:
    """For what cannot be done now."""
    return Refusal(503, sentence, {"Retry-After": str(COME_AGAIN)})


def too_busy(sentence: str) -> Refusal:
    """For a moment there is too much to do."""
    return come_again(f"{sentence}; try again in a moment")
