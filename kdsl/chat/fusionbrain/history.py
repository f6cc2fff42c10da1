"""Queries and histories as runners of the challenge give them, and the history as plain messages that is given back.

The documents of the challenge and the solutions that ran in it disagree about what a history is. So it is known by its
shape, in whatever round it comes:

- nothing (None, or an empty list): the dialogue begins;
- a list of (query, answer) pairs, as the documents say;
- one pair (the history that was given back, the answer that was given with it), as running solutions have it;
- messages, as they are given back, without an answer.

Tuples may have become lists, for JSON has no tuples.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from kdsl.chat.dialogue import ChatTurn, Part, PartKind
from kdsl.text import writable

log = logging.getLogger(__name__)

_KINDS: dict[object, PartKind] = {"text": "text", "image": "image", "audio": "audio"}


def user_turn(query: object) -> ChatTurn:
    """The turn that a query is, `{"type", "content"}` each; what is no part of one is told in the log and left out.

    >>> user_turn([{"type": "image", "content": "a.jpg"}, {"type": "text", "content": "What is it?"}]).text
    'What is it?'
    """
    return ChatTurn("user", _parts(query))


def turns_of(history: object) -> tuple[ChatTurn, ...]:
    """The turns of a history in any of the forms above; what is none of them is told in the log and left out.

    >>> query = [{"type": "text", "content": "hi"}]
    >>> turns_of([(query, "hello")]) == turns_of((messages_of([user_turn(query)]), "hello"))
    True
    """
    if history is None or history == "":
        return ()
    if _is_pair(history):
        before, answer = history
        return (*_asked(before), ChatTurn("agent", _parts(answer)))
    if _is_message(history):
        return (ChatTurn("agent" if history["role"] == "agent" else "user", _parts(history.get("content"))),)
    if _is_list(history):
        return tuple(turn for each in history for turn in turns_of(each))
    log.warning("a part of a history is left out, which is neither messages nor pairs: %.80r", history)
    return ()


def messages_of(turns: Sequence[ChatTurn]) -> list[dict[str, Any]]:
    """Turns as a history that is given back: objects that can be pickled, and written as JSON."""
    return [
        {"role": turn.role, "content": [{"type": part.kind, "content": part.content} for part in turn.parts]}
        for turn in turns
    ]


def _asked(before: object) -> tuple[ChatTurn, ...]:
    """What an answer follows: a history, or the query alone."""
    if _is_message(before) or (_is_list(before) and any(_is_message(each) or _is_pair(each) for each in before)):
        return turns_of(before)
    return () if before is None else (user_turn(before),)


def _parts(content: object) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Part("text", writable(content)),) if content.strip() else ()
    if _is_list(content):
        return tuple(part for each in content for part in _parts(each))
    if isinstance(content, Mapping):
        kind, value = content.get("type"), content.get("content")
        if isinstance(kind, str) and kind in _KINDS and isinstance(value, str):
            return (Part(_KINDS[kind], writable(value)),) if value.strip() else ()
    log.warning('a part of a query is left out, which is no {"type": …, "content": …}: %.80r', content)
    return ()


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _is_pair(value: object) -> TypeGuard[tuple[object, str | None]]:
    """A query or history with its answer, which is a text."""
    return _is_list(value) and len(value) == 2 and (value[1] is None or isinstance(value[1], str))


def _is_message(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and "role" in value
