"""Asking a server's chat completions, and finding out by asking in which form it takes questions."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from kdsl.errors import KdslError
from kdsl.http_client import HttpClient, ServerError
from kdsl.vlm.model import Generation
from kdsl.vlm.server.capabilities import about_a_picture, about_a_sound, refused_media
from kdsl.vlm.server.constraints import CONSTRAINTS, longest_choice
from kdsl.vlm.server.messages import JsonMessages
from kdsl.vlm.server.replies import replied

CHAT = "/chat/completions"

_PLAIN: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    lambda body: {"top_k": -1, "repetition_penalty": 1.0},  # vLLM, SGLang, llama.cpp
    lambda body: {"generation_config": _generation_config(sampled=body.get("temperature") != 0)},  # transformers serve
    lambda body: {},
)
"""Servers take defaults from the checkpoint (`top_k: 1` in Qwen2-VL's), which would distort scores and samples: fields
that put them back, to be tried in turn."""


def _generation_config(sampled: bool) -> str:
    """`transformers serve` samples only where the checkpoint says so, whatever the temperature."""
    return json.dumps({"do_sample": sampled, "repetition_penalty": 1.0} | ({"top_k": 0} if sampled else {}))


@dataclass(frozen=True, slots=True)
class Answers:
    said: list[Generation]
    output_tokens: int
    calls: int = 1


class ChatCompletions:
    """The chat completions of one model of a server, for several threads at once."""

    def __init__(self, client: HttpClient, model: str) -> None:
        self.model = model
        self._client = client
        self._plain = 0
        self._stops = True
        self._constraint = 0
        self._settled = False
        self._constrained = False
        self._takes_kinds: dict[str, bool] = {}
        self._asking = Lock()

    @property
    def url(self) -> str:
        """The server's address, up to and with /v1."""
        return self._client.url

    def ask(self, messages: JsonMessages, body: dict[str, Any]) -> Answers:
        """Answers to the messages; `body`: further fields of the request, `max_tokens` among them.

        Raises ServerError where the server refuses, and KdslError where it does not take the messages' pictures or
        sounds, or answers something else.
        """
        try:
            reply = self._post(messages, body)
        except ServerError as error:
            refused = refused_media(error, messages, self.url, self.model)
            if refused is None:
                raise
            raise refused from error
        found = replied(reply, body["max_tokens"])
        if found is None:
            raise self.garbage("an answer without choices that hold a message")
        return Answers(*found)

    def ask_constrained(self, messages: JsonMessages, choices: Sequence[str], body: dict[str, Any]) -> Answers:
        """Answers that are choices if the server can see to it; else any.

        The ways to tell a server the choices are tried in turn, until one has worked.
        """
        calls = tokens = 0
        number = self._constraint
        while True:
            constraint = CONSTRAINTS[number](choices)
            try:
                found = self.ask(messages, body | constraint)
            except ServerError as error:
                if not constraint or not error.refused or error.too_long:
                    raise
            else:
                calls, tokens = calls + found.calls, tokens + found.output_tokens
                chosen = all(each.label(choices) is not None for each in found.said)
                if not constraint or chosen or self._constrained:
                    self._constraint = max(self._constraint, number)  # what has been in vain is not tried again
                    self._constrained |= bool(constraint) and all(each.text in choices for each in found.said)
                    return Answers(found.said, tokens, calls)
            number += 1

    def settle_constraint(self, choices: Sequence[str]) -> None:
        """Find out by one short question how the server is told choices, so that no sample has to pay for that.

        That is asked once: in a process that stays, it would double what a single sample costs.
        """
        if self._settled:
            return
        question: JsonMessages = [{"role": "user", "content": "?"}]
        self.ask_constrained(question, choices, {"temperature": 0, "max_tokens": longest_choice(choices)})
        self._settled = True

    def ask_prompt(self, messages: JsonMessages, body: dict[str, Any]) -> dict[str, Any]:
        """The reply to the messages that tells their own log-probabilities, where the server can."""
        # One alternative a token, which every version allows; it generates a token because none may not be asked.
        return self._post(messages, {"temperature": 0, "max_tokens": 1, "prompt_logprobs": 1} | body)

    def prompt_tokens(self, messages: JsonMessages) -> int | None:
        """Tokens of the messages' prompt; None where the server does not tell, or refuses the messages."""
        try:
            usage = self._post(messages, {"temperature": 0, "max_tokens": 1}).get("usage")
        except ServerError as error:
            if error.status != 500 and not error.refused:
                raise
            return None
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return tokens if isinstance(tokens, int) else None

    def sees(self) -> bool:
        """Whether the model takes pictures, asked once; a server that ignores what it does not know is believed to."""
        return self._takes("pictures", about_a_picture())

    def hears(self) -> bool:
        """Whether the model takes sounds; the same holds for it."""
        return self._takes("sounds", about_a_sound())

    def garbage(self, what: str) -> KdslError:
        """The error for an answer that lacks what it should hold."""
        return self._client.garbage(CHAT, what)

    def _takes(self, kind: str, messages: JsonMessages) -> bool:
        with self._asking:
            if kind not in self._takes_kinds:
                self._takes_kinds[kind] = self._accepts(messages)
            return self._takes_kinds[kind]

    def _accepts(self, messages: JsonMessages) -> bool:
        try:
            self._post(messages, {"temperature": 0, "max_tokens": 1})
        except ServerError as error:
            if refused_media(error, messages, self.url, self.model) is None:
                raise
            return False
        return True

    def _post(self, messages: JsonMessages, body: dict[str, Any]) -> dict[str, Any]:
        """The reply; without `stop` where the server fails at it, as `transformers serve` does: callers cut texts."""
        short = {field: value for field, value in body.items() if field != "stop"}
        if len(short) == len(body) or not self._stops:
            return self._post_plain(messages, short)
        try:
            return self._post_plain(messages, body)
        except ServerError as error:
            if error.status != 500 and (not error.refused or error.too_long):
                raise
        reply = self._post_plain(messages, short)
        self._stops = False  # only now is it certain that this was what the server failed at
        return reply

    def _post_plain(self, messages: JsonMessages, body: dict[str, Any]) -> dict[str, Any]:
        request = {"model": self.model, "messages": messages, **body}
        for number in range(self._plain, len(_PLAIN) - 1):
            try:
                reply = self._client.post(CHAT, request | _PLAIN[number](body))
            except ServerError as error:
                if not error.refused or error.too_long or refused_media(error, messages, self.url, self.model):
                    raise
            else:
                self._plain = max(self._plain, number)  # these fields are not what the server refused
                return reply
        reply = self._client.post(CHAT, request)
        self._plain = len(_PLAIN) - 1
        return reply
