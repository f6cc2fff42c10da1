"""How many tokens a text takes, before the model that will read it is loaded."""

from collections.abc import Callable
from functools import cache
from typing import Any

from kdsl.fields.ocr_budget import estimated_tokens
from kdsl.hosts import is_address
from kdsl.pretrained import loading_in_one_sentence, without_extra
from kdsl.vlm.control_tokens import ControlTokens


def token_counter(name: str) -> Callable[[str], int]:
    """By the tokenizer of a model directory or hub id, read when first asked; estimated for a server's model.

    The function raises KdslError for a model that is not there, and where the extra `vlm` is not installed.
    """
    if is_address(name):
        return estimated_tokens

    def count(text: str) -> int:
        tokenizer, control = _tokenizer(name)
        return len(tokenizer.encode(control.plain(text), add_special_tokens=False))

    return cache(count)


@cache
def _tokenizer(name: str) -> tuple[Any, ControlTokens]:
    try:
        from transformers import AutoTokenizer

        from kdsl.vlm.checkpoint import adapter_base, find_model, is_adapter
    except ImportError as error:
        raise without_extra(name, error) from error
    from pathlib import Path

    base = adapter_base(Path(name).expanduser()) if is_adapter(name) else name
    location = find_model(base)
    with loading_in_one_sentence(base):
        tokenizer = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
    return tokenizer, ControlTokens(tokenizer.added_tokens_encoder)
