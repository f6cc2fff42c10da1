"""YAML files that people write: read with line numbers, and every mistake told as one sentence."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from kdsl.errors import KdslError
from kdsl.files import parsing, read_text

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]

LibYamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""For its events only; libyaml's is ten times faster than Python's and comes with all PyYAML wheels."""
_DEEPEST = 100
_MOST_VALUES = 1_000_000
"""In one file: aliases of aliases multiply to any number."""
_FULL_WIDTH_COLON = re.compile(r"(?:^|[{,])\s*(?:- +)?([A-Za-z_][\w.]*)：")

_FULL_WIDTH_SPACE = re.compile(r"[ \t]*([\u3000\xa0])[ \u3000\xa0]*(?:- |[A-Za-z_][\w.]*:)")
_QUOTATION_MARKS = "“”„‟‘’‚‛＂＇〝〞〟「」『』｢｣«»‹›"
_HALF = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_APOSTROPHE = "’"
_SEPARATORS = re.compile("[，、；\u3000]+")
"""What stands between the items of a list in Chinese writing; for YAML it is text."""


@dataclass(frozen=True)
class YamlFile:
    """The mapping in a YAML file as plain dicts, lists, strings and numbers, and where its keys stand."""

    path: Path
    text: str
    value: dict[str, Any]
    _marked: CommentedMap

    def line(self, location: Location) -> int | None:
        """The line of the innermost part of `location` that is in the file, from 1."""
        return _line(self._marked, location)

    def where(self, location: Location) -> str:
        """`FILE, line N` of the innermost part of `location` that is in the file."""
        line = self.line(location)
        return f"{self.path}, line {line}" if line else str(self.path)


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML 1.2 mapping.

    Raises KdslError with the line for a syntax error, a key given twice, a full-width colon after a key, quotation
    marks and commas that are none for YAML, more than one document, or anything other than a mapping at the top.
    """
    return parse_yaml(path, read_text(path))


def parse_yaml(path: Path, text: str) -> YamlFile:
    """The mapping in `text`, which is the content of `path`; errors as in `read_yaml`."""
    with parsing(path, "not valid YAML"):
        _refuse_deep(text)
        try:
            reader = YAML()
            reader.preserve_quotes = True
            marked = reader.load(text)
            plain = _plain(marked, iter(range(_MOST_VALUES)))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            refuse_full_width(path, text)
            problem = (error.problem or error.context or "not YAML").split("\n")[0]
            raise KdslError(f"{path}, line {line}: {_plain_words(problem)}") from error
    if not isinstance(plain, dict):
        refuse_full_width(path, text)
        found = "nothing" if plain is None else f"{str(plain)[:60]!r}"
        raise KdslError(f"{path}: holds {found}; expected `key: value` lines")
    file = YamlFile(path, text, plain, marked)
    _refuse_misread(file, marked)
    return file


def _refuse_deep(text: str) -> None:
    """What libyaml tells in no time costs ruamel the square of its depth."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=LibYamlLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError(f"more than {_DEEPEST} lists or mappings within each other")
    except yaml.YAMLError:
        return  # ruamel tells a mistake, and where


def yaml_string(text: str) -> str:
    """A double-quoted YAML scalar: a JSON string, with what YAML cannot print escaped."""
    quoted = json.dumps(_HALF.sub("\ufffd", text), ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def validate(
    model: type[Model],
    file: YamlFile,
    value: Mapping[str, Any],
    context: Mapping[str, Any] | None = None,
    within: Location = (),
) -> Model:
    """`value`, usually `file.value`, as a `model`; KdslError tells the first mistake and its line.

    `within` is where in the file the value stands, if not at the top.
    """
    try:
        return model.model_validate(value, context=dict(context or {}))
    except ValidationError as error:
        refuse_full_width(file.path, file.text)
        raise KdslError(f"{file.where([*within, *_first(error)['loc']])}: {first_mistake(model, error)}") from error


def first_mistake(model: type[BaseModel], error: ValidationError) -> str:
    """The first mistake that pydantic found when validating a `model`: key, value, and what would be right."""
    return _what_is_wrong(model, _first(error))


def _first(error: ValidationError) -> ErrorDetails:
    """A mistyped key before the key that is missing because of it."""
    return min(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")


def _line(marked: Any, location: Location) -> int | None:
    found = None
    for key in location:
        if isinstance(marked, CommentedMap) and key in marked:
            found = marked.lc.key(key)[0] + 1 if key in marked.lc.data else found
        elif isinstance(marked, CommentedSeq) and isinstance(key, int) and key < len(marked):
            found = marked.lc.item(key)[0] + 1
        else:
            break
        marked = marked[key]
    return found


def _plain(value: Any, left: Iterator[int]) -> Any:
    """Without ruamel's own types, which strict models refuse; `left` yields once for each that may still come."""
    if next(left, None) is None:
        raise ValueError(f"more than {_MOST_VALUES:,} values")
    if isinstance(value, Mapping):
        return {_plain(key, left): _plain(item, left) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, left) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value if value is None else str(value)


def refuse_full_width(path: Path, text: str) -> None:
    """Raise KdslError for a full-width colon or space that stands where YAML wants its own.

    Called only for files that are wrong anyway: in a prompt they may be meant.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        match = _FULL_WIDTH_COLON.search(line)
        if match:
            raise KdslError(
                f"{path}, line {number}: full-width colon after {match[1]!r}; write `{match[1]}: ` instead"
            )
        if match := _FULL_WIDTH_SPACE.match(line):
            raise KdslError(
                f"{path}, line {number}: begins with {match[1]!r}, which is no space for YAML; use plain spaces"
            )


def misread_quotes(text: str) -> str:
    """What is wrong with text without YAML's quotes that stands in other quotation marks, or in one; empty if nothing.

    They were meant to be its quotes; for YAML they are text.
    """
    first, last = text[:1] in _QUOTATION_MARKS and text != "", text[-1:] in _QUOTATION_MARKS and text != ""
    alone = [not any(mark in rest for mark in _QUOTATION_MARKS) for rest in (text[1:], text[:-1])]
    if not ((first and (last or alone[0])) or (last and alone[1] and text[-1] != _APOSTROPHE)):
        return ""
    bare = text.strip(_QUOTATION_MARKS + "\"'")
    meant = f"{_quoted(bare)}, or {_quoted(text)} where they are meant" if bare else _quoted(text)
    return f"the quotation marks of {text} are text for YAML; write {meant}"


def misread_separators(text: str) -> str:
    """What is wrong with an item without quotes of a list in brackets that looks like several; empty if nothing."""
    found = _SEPARATORS.search(text.strip())
    if not found:
        return ""
    parts = ", ".join(_quoted(part) for part in _SEPARATORS.split(text) if part)
    meant = f"{parts}, or {_quoted(text)} where one text is meant" if parts else _quoted(text)
    return f"the {found[0][0]!r} in {text} is text for YAML; write {meant}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _refuse_misread(file: "YamlFile", marked: Any, location: tuple[str | int, ...] = ()) -> None:
    """Raise KdslError for the first text that quotation marks or commas were meant to be YAML's own in."""
    entries: list[tuple[str | int, Any]] = []
    if isinstance(marked, CommentedMap):
        entries = list(marked.items())
    elif isinstance(marked, CommentedSeq):
        entries = list(enumerate(marked))
    for key, value in entries:
        place = (*location, key)
        if any(isinstance(text, str) and _HALF.search(text) for text in (key, value)):
            raise KdslError(f"{file.where(place)}: {str(key)!a:.60} holds half a character; remove it")
        if type(value) is str:  # text in quotes has a type of its own
            in_brackets = isinstance(marked, CommentedSeq) and marked.fa.flow_style()
            if sentence := misread_quotes(value) or (misread_separators(value) if in_brackets else ""):
                name = next((str(part) for part in reversed(place) if isinstance(part, str)), "")
                raise KdslError(f"{file.where(place)}: {name}: {sentence}")
        _refuse_misread(file, value, place)


def _plain_words(problem: str) -> str:
    if "'\\t'" in problem:
        return "a tab is used for spacing; YAML takes spaces only"
    if "cannot start any token" in problem or "expected alphabetic or numeric character" in problem:
        return "text that begins with a sign such as @ * & % ` | > or ! must stand in double quotes"
    if "node content" in problem or "sequence entries are not allowed" in problem or "unexpected ':'" in problem:
        return "text that begins with - or with a colon, or ends in one, must stand in double quotes"
    if "'<scalar>'" in problem:
        return "text follows where a comma, a bracket or the line's end is due (， and ＃ are text)"
    if "could not find expected ':'" in problem:
        return "a line that is neither `key: value` nor an item of a list"
    if "unknown escape character" in problem:
        return "in double quotes a backslash stands for itself only when it is written twice"
    duplicate = re.match(r'found duplicate key "(.*?)"', problem)
    if duplicate:
        return f"the key {duplicate[1]!r} is given twice; keep one of the two"
    if "mapping values are not allowed" in problem:
        return 'a second ": " or a wrong indentation; put values that hold a colon in double quotes'
    if "<stream end>" in problem or "end of stream" in problem:
        return "a bracket or a quotation mark is opened before and not closed"
    if "expected a single document" in problem or "another document" in problem:
        return "a second document begins with `---`; keep one document a file"
    return f"not valid YAML ({problem})"


def _what_is_wrong(model: type[BaseModel], error: ErrorDetails) -> str:
    location = error["loc"]
    name = ".".join(f"{part + 1}" if isinstance(part, int) else part for part in location)
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        known = _keys(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        return f"unknown key {name!r}" + (
            f"; did you mean {near[0]!r}?" if near else f"; keys here are {', '.join(known)}"
        )
    if kind == "missing":
        return f"the key {name!r} is missing"
    if kind in ("value_error", "assertion_error"):
        return f"{name}: {error['ctx']['error']}" if name else str(error["ctx"]["error"])
    shown = "empty" if value is None else f"{value!r:.80}"
    if kind == "too_short":
        return f"{name} has {error['ctx']['actual_length']} items; it must have at least {error['ctx']['min_length']}"
    expected = _EXPECTED.get(kind, error["msg"].removeprefix("Input should be "))
    return f"{name} is {shown}; it must be {expected}"


_EXPECTED = {
    "string_type": "text (in quotes where it looks like a number)",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list like [a, b]",
    "tuple_type": "a list like [a, b]",
    "model_type": "a mapping of `key: value` lines",
    "dict_type": "a mapping of `key: value` lines",
    "model_attributes_type": "a mapping of `key: value` lines",
    "string_too_short": "text that is not empty",
}


def _keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that the model at `location` inside `model` takes."""
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        inner = [annotation, *getattr(annotation, "__args__", ())]
        model = next(item for item in inner if isinstance(item, type) and issubclass(item, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items()]
