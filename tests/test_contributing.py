"""CONTRIBUTING.md names files that exist, and every place where a reader, a field or a classifier is known."""

import re
from pathlib import Path

import pytest
import yaml

from kdsl.fields import (
    COLOUR_FIELD,
    FIELDS,
    KIND_FIELD,
    MEANING_FIELD,
    NUMBER_FIELDS,
    QUESTION_FIELD,
    SIZE_FIELD,
    TEXT_FIELDS,
)
from kdsl.rules.condition import Condition
from kdsl.rules.wording import FIELD_NAMES
from kdsl.small.wording import CHINESE, ENGLISH

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(text: str) -> set[str]:
    """The files of the repository in backticks."""
    return set(re.findall(r"`((?:kdsl|tests|docs|scripts|\.ci)/[\w/.]*)`", text))


def modules_with(pattern: str) -> set[str]:
    found = re.compile(pattern)
    paths = (ROOT / "kdsl").rglob("*.py")
    return {path.relative_to(ROOT).as_posix() for path in paths if found.search(path.read_text("utf-8"))}


def test_every_file_that_is_named_exists():
    files = named(PAGE) | set(re.findall(r"`([\w.-]+\.(?:md|txt|cfg|yaml))`", PAGE))
    assert len(files) > 20
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("title", "copied", "pattern"),
    [
        ("A reader", "kdsl/data/plain.py", r"\bread_plain\b"),
        ("A field", "kdsl/fields/table.py", r'"image\.count"'),
        ("A classifier", "kdsl/models/neighbours.py", r'NeighboursTrainer|"linear", "neighbours"|== "neighbours"'),
    ],
)
def test_the_places_of_what_is_copied_are_those_that_are_named(title, copied, pattern):
    places = modules_with(pattern)
    assert copied in places
    assert places <= named(section(title))


def test_every_field_has_words_for_people_and_for_models():
    for names in FIELD_NAMES.values():
        assert set(names) == set(FIELDS)
    for wording in (CHINESE, ENGLISH):
        # Of the others, what is seen is told as people are told it, and meanings by the field they compare.
        assert set(wording.fields) == {*TEXT_FIELDS, *NUMBER_FIELDS}
        for condition in (
            {KIND_FIELD: "photo"},
            {COLOUR_FIELD: {"zone": "top", "colour": "orange", "share": ">0.3"}},
            {SIZE_FIELD: {"terms": ["x"], "height": ">0.03"}},
            {MEANING_FIELD: {"user": "x", "at": 0.5}},
            {QUESTION_FIELD: "x?"},
        ):
            assert wording.rule([Condition.model_validate(condition)])


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_described(field):
    assert f"`{field}`" in (ROOT / "docs/data.md").read_text("utf-8")


def test_hooks_run_what_ci_runs_and_download_nothing():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    for command in ("ruff check", "ruff format"):
        assert command in (ROOT / ".ci/run").read_text("utf-8")
        assert any(hook["entry"].startswith(command) for hook in hooks)


def test_the_changelog_has_the_version_that_is_there():
    import kdsl

    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## \[(\S+)\]", text, re.MULTILINE)[0] == kdsl.__version__
