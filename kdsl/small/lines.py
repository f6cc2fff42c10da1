"""The lines of a generated list."""

import re

_MARK = re.compile(r"^\s*(?:[-*•·]|[（(]?\d{1,2}\s*[.、)）:：])\s*")
"""A bullet or a number before the entry."""
_QUOTES = "\"'“”‘’「」《》 \t"


def listed(text: str, separators: str = "\n") -> list[str]:
    """The entries of a list as a model writes it, without numbers, bullets and quotes; each once, in their order."""
    entries = (_MARK.sub("", line).strip(_QUOTES) for line in re.split(f"[{re.escape(separators)}]", text))
    return list(dict.fromkeys(entry for entry in entries if entry))
