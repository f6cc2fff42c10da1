"""How servers are told that an answer must be one of some choices."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any


def _regex(choices: Sequence[str]) -> str:
    return "(" + "|".join(re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", choice) for choice in choices) + ")"


def _grammar(choices: Sequence[str]) -> str:
    return "root ::= " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)


CONSTRAINTS: tuple[Callable[[Sequence[str]], dict[str, Any]], ...] = (
    lambda choices: {"structured_outputs": {"choice": list(choices)}},  # vLLM
    lambda choices: {"guided_choice": list(choices)},  # vLLM before 0.12
    lambda choices: {"regex": _regex(choices)},  # SGLang
    lambda choices: {"grammar": _grammar(choices)},  # llama.cpp
    lambda choices: {},  # none of these: transformers serve and others
)
"""Fields of a request in the ways of different servers, to be tried in turn."""


def longest_choice(choices: Sequence[str]) -> int:
    """Tokens that suffice for any of the choices and an end token: a token is a byte at least."""
    return max(len(choice.encode("utf-8")) for choice in choices) + 1
