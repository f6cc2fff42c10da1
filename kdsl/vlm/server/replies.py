"""The answers in a reply of chat completions, in all the forms in which servers give them."""

import json
import re
from typing import Any

from kdsl.vlm.free_text import said
from kdsl.vlm.model import Generation

_ASIDE = ("reasoning_content", "reasoning", "refusal", "tool_calls", "function_call")
"""Fields of a message that servers use instead of its content, or beside it."""
_HALF = re.compile("[\ud800-\udfff]")


def replied(reply: dict[str, Any], most: int) -> tuple[list[Generation], int] | None:
    """The answers, and the tokens that all of them took together, `most` for each where the server does not tell.

    None for a reply without choices that hold a message. An answer of which nothing is left has an empty text.
    """
    choices = reply.get("choices")
    answers = [_answer(choice) for choice in choices] if isinstance(choices, list) else []
    if not answers or None in answers:
        return None
    usage = reply.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        tokens = most * len(answers)
    return [answer for answer in answers if answer is not None], tokens


def _answer(choice: Any) -> Generation | None:
    if not isinstance(choice, dict):
        return None
    message = choice.get("message")
    if not isinstance(message, dict) or (content := _text(message.get("content"))) is None:
        return None
    text = said(content)
    beside = (message.get(field) for field in _ASIDE)
    aside = next((_HALF.sub("\ufffd", _shown(value)) for value in (*beside, content) if value), "")
    return Generation(text, 0, cut=choice.get("finish_reason") == "length", aside="" if text else said(aside) or aside)


def _text(content: Any) -> str | None:
    """None for what no server gives as the content of a message."""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = (part.get("text") for part in content if part.get("type") in (None, "text", "output_text"))
        content = "".join(text for text in texts if isinstance(text, str))
    if content is None:
        return ""
    return _HALF.sub("\ufffd", content) if isinstance(content, str) else None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
