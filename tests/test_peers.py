"""scripts/peers: what it says of tokens and answers, and what its table shows; no peer is installed."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PICTURE, END, BREAK = 9, 2, 3


@pytest.fixture(scope="module")
def peering() -> Any:
    sys.path.append(str(SCRIPTS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(SCRIPTS))


def said(findings: list[Any]) -> dict[str, tuple[str, str]]:
    return {each.what: (each.figures, each.verdict.value) for each in findings}


def test_a_line_break_behind_the_end_is_told_and_no_difference(peering: Any) -> None:
    tokens = peering("peering.tokens")
    ours = [tokens.Encoded((1, PICTURE, PICTURE, 5, END), 2)]
    theirs = [tokens.Encoded((1, PICTURE, PICTURE, 5, END, BREAK), 3)]
    assert said(tokens.compare_tokens("peer", ours, theirs, PICTURE, [BREAK])) == {
        "tokens of the prompt": ("1 of 1", "same"),
        "tokens of the answer, to its end": ("1 of 1", "same"),
        "number of picture tokens": ("1 of 1; 2 to 2", "same"),
        "learns a line break behind the end": ("1 of 1", "-"),
    }


@pytest.mark.parametrize(
    ("ids", "learned", "different"),
    [
        ((1, PICTURE, 5, END), 2, {"tokens of the prompt", "number of picture tokens"}),
        ((4, PICTURE, PICTURE, 5, END), 2, {"tokens of the prompt"}),
        ((1, PICTURE, PICTURE, 6, END), 2, {"tokens of the answer, to its end"}),
        ((1, PICTURE, PICTURE, 5), 1, {"tokens of the answer, to its end"}),
        ((1, PICTURE, PICTURE, 5, END), 1, {"tokens of the prompt", "tokens of the answer, to its end"}),
    ],
)
def test_other_tokens_differ(peering: Any, ids: tuple[int, ...], learned: int, different: set[str]) -> None:
    tokens = peering("peering.tokens")
    ours = [tokens.Encoded((1, PICTURE, PICTURE, 5, END), 2)]
    found = tokens.compare_tokens("peer", ours, [tokens.Encoded(ids, learned)], PICTURE, [BREAK])
    assert {each.what for each in found if each.verdict == "DIFFERS"} == different


def test_samples_that_one_side_lacks_differ(peering: Any) -> None:
    tokens = peering("peering.tokens")
    row = tokens.Encoded((1, PICTURE, 5, END), 2)
    found = said(tokens.compare_tokens("peer", [row, row], [row], PICTURE, [BREAK]))
    assert found["tokens of the prompt"] == ("1 of 2", "DIFFERS")


def test_pictures_of_other_sizes_are_told_with_both_numbers(peering: Any) -> None:
    told = peering("peering.tokens").compare_pictures("peer", [720, 738, 100], [768, 738, 100], 768)
    assert (told.figures, told.verdict.value) == ("768 (720)", "-")


def test_nothing_compared_is_a_difference(peering: Any) -> None:
    table = peering("peering.table")
    assert table.shares("peer", "answers", 0, 0).verdict.value == "DIFFERS"
    assert table.within("peer", "scores", float("nan"), 1e-4).verdict.value == "DIFFERS"
    assert table.within("peer", "scores", 1e-4, 1e-4).verdict.value == "same"


def test_the_table_has_a_block_for_each_peer_in_80_columns(peering: Any) -> None:
    table = peering("peering.table")
    findings = [
        table.shares("LLaMA-Factory 0.9.5", "tokens of the prompt", 51, 51),
        table.Finding("vLLM 0.32.0 (CPU)", "installation", "pip ended with 1: " + "no matching file " * 5, "not run"),
    ]
    text = table.table(findings)
    assert text.splitlines() == [
        "LLaMA-Factory 0.9.5",
        "  tokens of the prompt               51 of 51                          same",
        "",
        "vLLM 0.32.0 (CPU)",
        "  installation                       pip ended with 1: no matching     not run",
        "                                     file no matching file no",
        "                                     matching file no matching file",
        "                                     no matching file",
    ]
    assert max(map(len, text.splitlines())) <= 80


def test_only_a_difference_fails(peering: Any) -> None:
    table = peering("peering.table")
    told = table.Finding("peer", "what", "1", table.Verdict.told)
    not_run = table.Finding("peer", "what", "no network", table.Verdict.not_run)
    assert not table.failed([told, not_run])
    assert table.failed([told, table.shares("peer", "answers", 3, 4)])


def test_a_command_that_fails_is_told_by_its_last_line(peering: Any, tmp_path: Path) -> None:
    children = peering("peering.children")
    code = "import sys; print('a peer said this', file=sys.stderr); sys.exit(3)"
    with pytest.raises(children.Failed, match=r"ended with 3: a peer said this \(.*log\.txt\)"):
        children.run_logged([sys.executable, "-c", code], tmp_path / "log.txt")
