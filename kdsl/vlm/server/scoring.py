"""Exact log-probabilities of answers from a server that tells those of its prompt (`prompt_logprobs` of vLLM).

The answer is sent as the last message of the conversation. Where it lies among the prompt's tokens follows from how
the chat template ends: prompt, answer, end token, and what the template puts behind it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kdsl.vlm.server.messages import JsonMessages

AskPrompt = Callable[[JsonMessages, dict[str, Any]], dict[str, Any]]
"""Sends messages with further fields of the body; the reply."""

_IMPOSSIBLE = -9999.0
"""What vLLM tells instead of minus infinity, which others write."""
_PROBE: JsonMessages = [{"role": "user", "content": "?"}]


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """How the server's chat template encloses an answer."""

    opened: tuple[str, ...]
    """Token ids of the probe, from its second token to where the answer begins."""
    trailing: int
    """Tokens that the chat template puts behind the end token."""


def closed_by(messages: JsonMessages, option: str) -> JsonMessages:
    """The conversation with the option as its answer."""
    return [*messages, {"role": "assistant", "content": option}]


def find_chat_format(ask: AskPrompt, option: str) -> ChatFormat | None:
    """Learned from a question of one character and any option; None when the server does not tell a prompt's
    log-probabilities, or its chat template puts something between prompt and answer.
    """
    opened = _tokens(ask(_PROBE, {"add_generation_prompt": True}))
    if not opened:
        return None
    begun = _tokens(ask(closed_by(_PROBE, option), {"add_generation_prompt": False, "continue_final_message": True}))
    closed = _tokens(ask(closed_by(_PROBE, option), {"add_generation_prompt": False}))
    if not begun or not closed or not len(opened) < len(begun) < len(closed):
        return None
    if closed[: len(begun)] != begun or begun[: len(opened)] != opened:
        return None
    return ChatFormat(opened, trailing=len(closed) - len(begun) - 1)


def option_length(ask: AskPrompt, chat: ChatFormat, option: str) -> int | None:
    """Tokens of an option, its end token included; None when it cannot be told apart from the prompt."""
    closed = _tokens(ask(closed_by(_PROBE, option), {"add_generation_prompt": False}))
    if not closed or closed[: len(chat.opened)] != chat.opened:
        return None
    length = len(closed) - len(chat.opened) - chat.trailing
    return length if length > 1 else None


def score_closed(ask: AskPrompt, chat: ChatFormat, messages: JsonMessages, option: str, length: int) -> float | None:
    """Summed log-probability of an option of so many tokens, end token included; None when the reply lacks it."""
    entries = _prompt_entries(ask(closed_by(messages, option), {"add_generation_prompt": False}))
    end = len(entries) - chat.trailing
    tail = [_token(entry) for entry in entries[max(0, end - length) : end]]
    values = [token[1] for token in tail if token is not None]
    return sum(values) if len(values) == length else None


def _tokens(reply: dict[str, Any]) -> tuple[str, ...] | None:
    """Ids of a prompt's tokens after its first, of which nothing is told."""
    tokens = [_token(entry) for entry in _prompt_entries(reply)[1:]]
    known = tuple(token[0] for token in tokens if token is not None)
    return known if len(known) == len(tokens) else None


def _prompt_entries(reply: dict[str, Any]) -> list[Any]:
    entries = reply.get("prompt_logprobs")
    return entries if isinstance(entries, list) else []


def _token(entry: Any) -> tuple[str, float] | None:
    """Id and log-probability of the prompt's own token: beside it stands only the most probable one, of rank 1."""
    try:
        token, told = max(entry.items(), key=lambda item: item[1]["rank"])
        value = float(told["logprob"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return None if math.isnan(value) or value == math.inf else (token, max(value, _IMPOSSIBLE))
