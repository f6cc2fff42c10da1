"""One rule file: read strictly and fast, written in one form, a person's comments kept."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kdsl.errors import KdslError
from kdsl.fields import MEANING_FIELD
from kdsl.files import parsing, read_text
from kdsl.rules.rule import Rule
from kdsl.yaml_file import (
    LibYamlLoader,
    misread_quotes,
    misread_separators,
    parse_yaml,
    refuse_full_width,
    validate,
    yaml_string,
)

LONGEST = 1_000_000
"""Characters of a rule file."""
_NUMBERS = ("schema", "seed")
_SIMILARITY = f"{MEANING_FIELD}: at"
"""How the key of the one decimal number is called, so that no other `at` is one."""
_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
_WORDS = ("id", "status", "source", "proposer", "run", "by", "at", "of", "hit", "miss")
"""Keys whose values are single words, ids or dates: behind them a comment is a comment."""
_NOT_TEXT = re.compile(
    r"(?:~|null|true|false|yes|no|on|off|y|n|[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d+)(?:e[-+]?\d+)?"
    r"|[-+]?0x[0-9a-f_]+|[-+]?0o?[0-7_]+|[-+]?0b[01_]+"
    r"|[-+]?\.inf|\.nan|\d{4}-\d\d?-\d\d?.*|[-+]?\d+(?::\d\d?)+(?:\.\d*)?|=|<<)?",
    re.IGNORECASE | re.ASCII,
)
"""What YAML 1.1 or 1.2 may take for something else than text when it stands without quotes."""
_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_COMMENT = re.compile(r"[^\S\n]*#")


def read_rule(path: Path) -> Rule:
    """The rule in `path`.

    Raises KdslError with the line for a syntax error, a key given twice, an anchor, alias or tag, text without quotes
    that YAML would not read as that text, an unknown key or field, and whatever else `Rule` refuses.
    """
    return parse_rule(path, read_text(path))


def parse_rule(path: Path, text: str) -> Rule:
    """The rule in `text`, the content of `path`, be it with a byte order mark; errors as in `read_rule`."""
    text = text.removeprefix("\ufeff")
    if len(text) > LONGEST:
        raise KdslError(f"{path}: has {len(text):,} characters; a rule file has at most {LONGEST:,}")
    with parsing(path, "not valid YAML"):
        try:
            value = _Reader(path, text).document()
        except yaml.MarkedYAMLError as error:
            refuse_full_width(path, text)
            parse_yaml(path, text)  # tells the same mistake in a sentence
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise KdslError(f"{path}, line {line}: not valid YAML ({error.problem})") from error
        except yaml.reader.ReaderError as error:
            raise KdslError(
                f"{path}: holds the character {error.character!r} that YAML does not allow; delete it"
            ) from error
    try:
        return Rule.model_validate(value)
    except ValidationError:
        return validate(Rule, parse_yaml(path, text), value)  # raises the same with the line


class _Reader:
    """Builds dicts, lists and strings from libyaml's events, refusing everything a rule file has no use for."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._parser = LibYamlLoader(text)

    def document(self) -> dict[str, Any]:
        self._parser.get_event()  # the stream's start
        if isinstance(self._parser.get_event(), yaml.StreamEndEvent):
            raise KdslError(f"{self._path}: holds nothing; expected a rule with `id`, `label` and `when`")
        event = self._parser.get_event()
        if not isinstance(event, yaml.MappingStartEvent):
            parse_yaml(self._path, self._text)
            raise self._error(event, 'expected `key: value` lines such as `label: "…"`')
        value = self._mapping(event)
        self._parser.get_event()  # the document's end
        event = self._parser.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "a second document begins; keep one rule a file")
        return value

    def _value(self, event: yaml.Event, key: str) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise self._error(event, f"the alias *{event.anchor} is not allowed in rule files; write the value out")
        if event.anchor is not None:
            raise self._error(event, f"the anchor &{event.anchor} is not allowed in rule files; write the value out")
        if event.tag is not None and event.tag != "!":
            raise self._error(event, f"the tag {event.tag} is not allowed in rule files; put text in double quotes")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, key)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(event, key)
        return self._scalar(event, key)

    def _mapping(self, start: yaml.Event, within: str = "") -> dict[str, Any]:
        if start.anchor is not None or start.tag is not None:
            raise self._error(start, "anchors and tags are not allowed in rule files; write the value out")
        mapping: dict[str, Any] = {}
        while not isinstance(event := self._parser.get_event(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(
                    event, "a key must be a word such as `label`; put text with brackets in double quotes"
                )
            key = event.value
            if key in mapping:
                raise self._error(event, f"the key {key!r} is given twice; keep one of the two")
            if event.anchor is not None or event.tag is not None or key == "<<":
                raise self._error(event, "anchors, tags and `<<` are not allowed in rule files; write the value out")
            name = f"{within}: {key}" if within == MEANING_FIELD else key
            mapping[key] = self._value(self._parser.get_event(), name)
        return mapping

    def _list(self, start: yaml.SequenceStartEvent, key: str) -> list[Any]:
        items = []
        while not isinstance(event := self._parser.get_event(), yaml.SequenceEndEvent):
            value = self._value(event, key)
            plain = start.flow_style and isinstance(event, yaml.ScalarEvent) and not event.style
            if plain and (sentence := misread_separators(str(value))):
                raise self._error(event, f"{key}: {sentence}")
            items.append(value)
        return items

    def _scalar(self, event: yaml.ScalarEvent, key: str) -> str | int | float | None:
        value = event.value
        if event.style is not None and event.style != "":
            return value
        if key in _NUMBERS and (value == "null" or re.fullmatch(r"-?\d+", value)):
            return None if value == "null" else int(value)
        if key == _SIMILARITY and _DECIMAL.fullmatch(value):
            return float(value)
        if _NOT_TEXT.fullmatch(value):
            if not value:
                raise self._error(event, f'{key} has no value; write "" for empty text or [] for an empty list')
            raise self._error(event, f'{key}: YAML does not take {value} without quotes for text; write "{value}"')
        if key != "notes":
            if sentence := misread_quotes(value):
                raise self._error(event, f"{key}: {sentence}")
            written = self._text[event.start_mark.index : event.end_mark.index].strip(" \t\r\n")
            if written != value:
                raise self._error(
                    event, f"{key}: YAML reads over a line break, and takes {value!r}; put the text in double quotes"
                )
        if key not in _WORDS and self._comment_follows(event.end_mark.index):
            raise self._error(
                event, f"{key}: YAML takes what follows {value!r} for a comment; put the text in double quotes"
            )
        return value

    def _comment_follows(self, index: int) -> bool:
        return _COMMENT.match(self._text, index) is not None

    def _error(self, event: yaml.Event, sentence: str) -> KdslError:
        refuse_full_width(self._path, self._text)
        return KdslError(f"{self._path}, line {event.start_mark.line + 1}: {sentence}")


def rule_text(rule: Rule, previous: str | None = None) -> str:
    """The rule as a file in the one form that KDSL writes.

    Where `previous`, the text of the file so far, has comments, these are kept, and with them the layout of lists and
    mappings.
    Raises KdslError where they cannot be: a few oddities of YAML are a rule to libyaml and a mistake to ruamel.
    """
    by, at, of = (yaml_string(value) for value in (rule.review.by, rule.review.at, rule.review.of))
    lines = [
        f"schema: {rule.schema_}",
        f"id: {rule.id}",
        f"label: {yaml_string(rule.label)}",
        f"status: {rule.status}",
        "when:",
        "  all:",
        *(f"    - {_condition(condition.mapping())}" for condition in rule.conditions),
        f"provenance: {_provenance(rule)}",
        f"review: {{by: {by}, at: {at}, of: {of}}}",
        f"tests: {{hit: {_test(rule.tests.hit)}, miss: {_test(rule.tests.miss)}}}",
        f"notes: {yaml_string(rule.notes)}",
    ]
    text = "\n".join(lines) + "\n"
    if previous is None or "#" not in previous:
        return text
    previous = previous.removeprefix("\ufeff")
    with parsing(
        f"rule {rule.id}", "the comments in its file cannot be kept", "write the file in the plain form first"
    ):
        return _with_comments(text, previous)


def _condition(mapping: dict[str, Any]) -> str:
    [(key, test)] = mapping.items()
    return f"not: {{{_condition(test)}}}" if key == "not" else f"{key}: {_test(test)}"


def _test(test: Any) -> str:
    """A text, a number, a list of texts, or a mapping to these, in flow style."""
    if isinstance(test, dict):
        return f"{{{', '.join(f'{key}: {_test(value)}' for key, value in test.items())}}}"
    if isinstance(test, list):
        return f"[{', '.join(map(yaml_string, test))}]"
    return yaml_string(test) if isinstance(test, str) else repr(test)


def _provenance(rule: Rule) -> str:
    provenance = rule.provenance
    entries = [f"source: {_word(provenance.source)}", f"proposer: {_word(provenance.proposer)}"]
    entries.append(f"run: {yaml_string(provenance.run)}")
    if provenance.seed is not None:
        entries.append(f"seed: {provenance.seed}")
    return f"{{{', '.join(entries)}}}"


def _word(value: str) -> str:
    plain = _PLAIN_WORD.fullmatch(value) and not _NOT_TEXT.fullmatch(value)
    return value if plain else yaml_string(value)


def _with_comments(text: str, previous: str) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 20
    editor.indent(mapping=2, sequence=4, offset=2)
    old, new = editor.load(previous), editor.load(text)
    if not isinstance(old, CommentedMap):
        return text
    _make_plain(old)
    _make_plain(new)
    _take_over(old, new)
    stream = StringIO()
    editor.dump(old, stream)
    return stream.getvalue()


def _make_plain(node: Any) -> None:
    """Turn numbers that remember how they were written, which loses digits of long ones, into numbers."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        if isinstance(node[key], dict | list):
            _make_plain(node[key])
        elif isinstance(node[key], float):
            node[key] = float(node[key])


def _take_over(old: Any, new: Any) -> None:
    """Give the ruamel mapping `old` the keys, order and values of `new`; comments hang on what stays."""
    from ruamel.yaml.comments import CommentedMap

    for key in [key for key in old if key not in new]:
        del old[key]
    for key, value in new.items():
        if isinstance(value, CommentedMap) and isinstance(old.get(key), CommentedMap):
            _take_over(old[key], value)
        elif isinstance(value, list) and isinstance(old.get(key), list):
            _take_over_items(old[key], value)
        else:
            old[key] = value
        old.move_to_end(key)


def _take_over_items(old: Any, new: Any) -> None:
    """Items that stay keep their comments: only those that differ are deleted, inserted or replaced."""
    from difflib import SequenceMatcher

    before, after = ([json.dumps(item, ensure_ascii=False) for item in items] for items in (old, new))
    for kind, i, j, k, m in reversed(SequenceMatcher(None, before, after, autojunk=False).get_opcodes()):
        if kind == "equal" or (kind == "replace" and j - i == m - k):
            for offset in range(j - i):
                if kind == "equal" and not isinstance(new[k + offset], str):
                    _take_over_quotes(old[i + offset], new[k + offset])
                else:
                    old[i + offset] = new[k + offset]
        else:
            for index in reversed(range(i, j)):
                del old[index]
            for offset in range(m - k):
                old.insert(i + offset, new[k + offset])


def _take_over_quotes(old: Any, new: Any) -> None:
    """Give equal mappings and lists the strings of `new`, which are in double quotes; their layout stays."""
    for key in new if isinstance(new, dict) else range(len(new)):
        if isinstance(new[key], str | float):
            old[key] = new[key]
        else:
            _take_over_quotes(old[key], new[key])
