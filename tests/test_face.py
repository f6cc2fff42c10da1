"""The face: what `import kdsl` offers, and that it costs nothing until it is used."""

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kdsl

HEAVY = {"numpy", "pydantic", "sklearn", "scipy", "rich", "ruamel", "yaml", "typer", "PIL", "matplotlib", "torch"}
PACKAGE = Path(kdsl.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


def test_importing_it_imports_nothing_heavy():
    code = "import sys, kdsl; dir(kdsl); print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()


@pytest.mark.parametrize("name", kdsl.__all__)
def test_every_name_is_there_and_documented(name):
    assert name in dir(kdsl)
    found = getattr(kdsl, name)
    assert found is getattr(kdsl, name)
    assert found.__doc__ and "Sample(id" not in found.__doc__, f"{name} has the docstring that dataclasses make"


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'kdsl' has no attribute 'nonsense'"):
        kdsl.nonsense  # noqa: B018


def test_star_import_gives_the_names():
    names: dict[str, object] = {}
    exec("from kdsl import *", names)
    assert set(kdsl.__all__) <= set(names)


def test_there_are_examples():
    assert {"kdsl", "kdsl.project.project", "kdsl.project.rule_classifier"} <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_of_the_docstrings_are_right(module):
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.attempted and not outcome.failed


def test_open_takes_a_folder_or_file_and_changes_of_any_type(tmp_path, monkeypatch):
    kdsl.Project.create(tmp_path / "shop")
    opened = kdsl.open(
        tmp_path / "shop", seed=7, **{"mining.iterations": 500, "prompt.ocr": False, "data.test": "t.jsonl"}
    )
    assert (opened.config.seed, opened.config.mining.iterations, opened.config.prompt.ocr) == (7, 500, False)
    assert str(opened.config.data.test) == "t.jsonl"
    assert kdsl.open(str(tmp_path / "shop" / "kdsl.yaml")).config.seed == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert [task.name for task in kdsl.open().tasks] == ["mire_intent", "mire_scene"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sed": 1}, "sed=1: unknown key 'sed'; did you mean 'seed'"),
        ({"seed": "1"}, "seed='1': seed is '1'; it must be"),
        ({"seed.x": 1}, "seed.x=1: there is no part 'seed' with a key 'x' in kdsl.yaml"),
        ({"tasks": [kdsl.Task("a", ())]}, "it must be text"),
        ({"data": {"train": 3}}, "data={'train': 3}: data.train: 3 is not a path; write a file or folder name"),
    ],
)
def test_a_wrong_change_is_one_sentence(tmp_path, changes, sentence):
    kdsl.Project.create(tmp_path)
    with pytest.raises(kdsl.KdslError) as caught:
        kdsl.open(tmp_path, **changes)
    assert sentence in str(caught.value)


def test_a_folder_without_a_project_is_one_sentence(tmp_path):
    with pytest.raises(kdsl.KdslError) as caught:
        kdsl.open(tmp_path)
    assert "kdsl.yaml: no such file; name a project's kdsl.yaml, or make one with kdsl.Project.create" in str(
        caught.value
    )
