"""One error, told at two doors."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kdsl
from kdsl.errors import Hint, KdslError
from kdsl.files import parsing
from kdsl.json_file import read_json


def test_in_python_an_error_names_the_call():
    error = KdslError("run/arbiter.json: no such file", Hint.TRAIN)
    assert str(error) == "run/arbiter.json: no such file; call project.train() first"


def test_for_those_who_type_commands_it_names_the_command():
    error = KdslError("run/arbiter.json: no such file", Hint.TRAIN)
    assert error.in_commands() == "run/arbiter.json: no such file; run `kdsl train` first"


def test_other_advice_is_the_same_at_both_doors():
    error = KdslError("a.txt: byte 3 is not UTF-8", "save the file as UTF-8")
    assert str(error) == error.in_commands() == "a.txt: byte 3 is not UTF-8; save the file as UTF-8"


def test_an_error_without_advice_is_its_sentence():
    assert str(KdslError("a.txt: no such file")) == "a.txt: no such file"


def test_a_sentence_with_a_long_value_keeps_its_beginning_and_its_end():
    error = KdslError("a.json: " + "x" * 5000, Hint.MINE)
    assert len(str(error)) < 900
    assert str(error).startswith("a.json: xx") and str(error).endswith("call project.mine() first")


def test_it_comes_whole_out_of_another_process():
    error = pickle.loads(pickle.dumps(KdslError("mining.json: no such file", Hint.MINE)))
    assert (str(error), error.hint) == ("mining.json: no such file; call project.mine() first", Hint.MINE)


def test_what_to_do_about_a_bad_file_is_told_for_each_door(tmp_path):
    (tmp_path / "mining.json").write_text("{")
    with pytest.raises(KdslError) as raised:
        read_json(tmp_path / "mining.json", Hint.MINE_AGAIN)
    assert str(raised.value).endswith("; call project.mine() again")
    assert raised.value.in_commands().endswith("; run `kdsl mine` again")
    with pytest.raises(KdslError) as raised, parsing("a.npz", "damaged", Hint.TRAIN_AGAIN):
        raise ValueError("not numbers")
    assert raised.value.in_commands() == "a.npz: damaged (not numbers); run `kdsl train` again"


PACKAGE = Path(kdsl.__file__).parent
BELOW = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("cli", "review", "errors.py")
]
"""What is used from Python too: all but the command line and the page."""


def sentences(tree: ast.AST) -> Iterator[str]:
    """The texts in errors and warnings."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("KdslError", ".warning", ".error")):
            texts = (each.value for each in ast.walk(call) if isinstance(each, ast.Constant))
            yield from (text for text in texts if isinstance(text, str))


def test_what_python_can_do_too_is_no_command_in_an_error():
    told = [f"{path.name}: {text}" for path in BELOW for text in sentences(ast.parse(path.read_bytes()))]
    assert [each for each in told if re.search(r"kdsl (init|check|ocr|mine|train|predict|run)\b", each)] == []


@pytest.mark.parametrize("hint", Hint)
def test_a_hint_names_a_method_that_a_project_has(hint):
    named = re.findall(r"(?:project|kdsl\.Project)\.(\w+)\(", hint.python)
    assert named and all(callable(getattr(kdsl.Project, name)) for name in named)
