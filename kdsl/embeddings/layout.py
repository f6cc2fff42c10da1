"""How a sentence encoder is put together around its transformer, as sentence-transformers says it in files.

Source: the layout of sentence-transformers: `modules.json` names the parts, `1_Pooling/config.json` says how tokens
become one vector, `sentence_bert_config.json` how many tokens are read, `config_sentence_transformers.json` what
stands before each text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kdsl.errors import KdslError
from kdsl.json_file import read_json

Pooling = Literal["mean", "cls", "last"]
OpenFile = Callable[[str], Path | None]
"""The file of that name in a model's directory, None where it has none."""

_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_KNOWN = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True)
class Layout:
    """All that makes a vector of what the transformer says of each token."""

    pooling: Pooling = "mean"
    """Of the last hidden states: their mean, the first one, or that of the last token."""
    prompt: str = ""
    """Stands before each text."""
    max_tokens: int | None = None
    """Of a text, at most; None where only the tokenizer says it."""


def read_layout(name: str, open_file: OpenFile) -> Layout:
    """The layout in a model's directory; that of a plain transformer, which has no such files, is the mean.

    Raises KdslError for a part that KDSL does not know, and for files that are damaged.
    """
    modules = _json(open_file("modules.json"), list)
    pooling: Pooling = "mean"
    for module in modules or ():
        kind = str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else ""
        if kind not in _KNOWN:
            raise KdslError(
                f"{name}: modules.json names the part {kind or module!r}, which KDSL does not know; take an encoder "
                "of transformer, pooling and normalisation, or serve it and give the server's http:// address"
            )
        if kind == "Pooling":
            pooling = _pooling(name, _json(open_file(f"{module.get('path')}/config.json"), dict) or {})
    limits = _json(open_file("sentence_bert_config.json"), dict) or {}
    most = limits.get("max_seq_length")
    return Layout(pooling, _prompt(open_file), most if isinstance(most, int) and most > 0 else None)


def _pooling(name: str, config: dict[str, Any]) -> Pooling:
    asked = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    if len(asked) != 1 or asked[0] not in _POOLINGS:
        raise KdslError(
            f"{name}: its pooling is {' + '.join(asked) or 'not said'}; KDSL knows one of {', '.join(_POOLINGS)}"
        )
    return _POOLINGS[asked[0]]


def _prompt(open_file: OpenFile) -> str:
    config = _json(open_file("config_sentence_transformers.json"), dict) or {}
    prompts, chosen = config.get("prompts"), config.get("default_prompt_name")
    prompt = prompts.get(chosen) if isinstance(prompts, dict) and isinstance(chosen, str) else None
    return prompt if isinstance(prompt, str) else ""


def _json(path: Path | None, kind: type) -> Any:
    """What stands in a file, None without one; KdslError where it is not of that kind."""
    if path is None:
        return None
    value = read_json(path)
    if not isinstance(value, kind):
        raise KdslError(f"{path}: holds {value!r:.80} instead of a {'list' if kind is list else 'JSON object'}")
    return value
