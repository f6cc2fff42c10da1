"""Rasa's training data for intents: nlu.yml (formats 2.0 and 3.1) and the Markdown that came before it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdsl.data.notes import Notes
from kdsl.data.values import Value
from kdsl.errors import KdslError
from kdsl.yaml_file import YamlFile, parse_yaml

_ENTITY = re.compile(r"\[(?P<text>[^\]]+?)\](?:\([^:)]+?(?::[^)]+)?\)|\{[^}]+?\}|\[\s*\{.*?\}\s*\])")
"""`[text](entity)`, `[text](entity:value)`, `[text]{"entity": …}` or `[text][{"entity": …}, …]`."""
_BLOCK = re.compile(r":\s*[|>][-+\d]*\s*(#.*)?$")
"""The end of the line above a text of several lines."""
_SECTION = re.compile(r"##\s*(?P<kind>[\w-]+)\s*:\s*(?P<name>.+?)\s*$")
_ITEM = re.compile(r"\s*[-*+]\s+(?P<text>.+?)\s*$")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def yaml_values(path: Path, text: str, notes: Notes) -> Iterator[Value]:
    """{"text", "intent"} of every example under `nlu:`, without the marks of its entities, by line.

    What is no example of an intent, from synonyms to stories, is noted. Raises KdslError where there is no `nlu:`, and
    for anything that Rasa would not read.
    """
    file = parse_yaml(path, text.removeprefix("\ufeff"))
    items = file.value.get("nlu")
    if not isinstance(items, list):
        raise KdslError(
            f"{path}: holds no list under `nlu:`, where Rasa keeps examples; of YAML files, only "
            "Rasa's nlu.yml is read"
        )
    for key in file.value.keys() - {"nlu", "version"}:
        notes.note(f"parts {key!r} left out", f"line {file.line((key,))}")
    number = 0
    for index, item in enumerate(items):
        line = file.line(("nlu", index)) or 1
        if not isinstance(item, dict):
            raise KdslError(f"{path}, line {line}: {str(item)[:60]!r} is no `intent:` with `examples:`")
        if "intent" not in item:
            kind = next((key for key in ("synonym", "regex", "lookup") if key in item), next(iter(item), "nothing"))
            notes.note(f"items {kind!r} left out", f"line {line}")
            continue
        for at, example in _examples(file, index, item, line):
            number += 1
            yield Value(f"line {at}", str(number), {**example, "intent": item["intent"]})


def _examples(file: YamlFile, index: int, item: dict[str, Any], line: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The line and content of each example of an intent."""
    examples = item.get("examples")
    begins = file.line(("nlu", index, "examples")) or line
    if isinstance(examples, str):
        block = _BLOCK.search(file.text.split("\n")[begins - 1]) is not None
        for offset, text in enumerate(examples.split("\n"), start=1):
            at = begins + offset if block else begins
            if not text.strip():
                continue
            if not text.startswith("-"):
                raise KdslError(f"{file.path}, line {at}: an example begins with `- `, this is {text[:60]!r}")
            yield at, {"text": without_entities(text[1:].strip())}
    elif isinstance(examples, list):
        for number, each in enumerate(examples):
            at = file.line(("nlu", index, "examples", number)) or begins
            example = {"text": each} if isinstance(each, str) else each
            if not isinstance(example, dict) or not isinstance(example.get("text"), str):
                raise KdslError(f"{file.path}, line {at}: an example is a text, or a mapping with `text:`")
            yield at, {**example, "text": without_entities(example["text"].strip())}
    else:
        raise KdslError(f"{file.path}, line {line}: the intent {str(item['intent'])[:60]!r} has no `examples:`")


def markdown_values(path: Path, text: str, notes: Notes) -> Iterator[Value]:
    """The same of `- example` lines below `## intent:name`."""
    kind = intent = ""
    number = 0
    # A comment may go over lines, which are counted all the same.
    text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    for line, content in enumerate(text.split("\n"), start=1):
        section, item = _SECTION.match(content), _ITEM.match(content)
        if section is not None:
            kind, intent = section["kind"], section["name"]
            if kind != "intent":
                notes.note(f"items {kind!r} left out", f"line {line}")
        elif item is not None and kind == "intent":
            number += 1
            yield Value(f"line {line}", str(number), {"text": without_entities(item["text"]), "intent": intent})
        elif content.strip() and not kind:
            raise KdslError(f"{path}, line {line}: {content.strip()[:60]!r} stands above the first `## intent:name`")
        elif content.strip() and item is None:
            notes.note("lines that are no example left out", f"line {line}")


def without_entities(example: str) -> str:
    """The text of an example as Rasa's model sees it.

    >>> without_entities('from [Berlin]{"entity": "city", "role": "from"} to [LA](city:Los Angeles)')
    'from Berlin to LA'
    """
    return _ENTITY.sub(lambda match: match["text"], example)
