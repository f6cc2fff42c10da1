"""A disk that is really full: a tiny file system in memory, filled but for a few pages."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rule_files import LABELS, TASK, contents, rule_base

from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.journal import replay
from kdsl.review.store import RuleStore
from kdsl.rules.condition import Condition

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 pages."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={64 * PAGE}"]
    try:
        mounted = subprocess.run(
            ["mount", *options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("needs the program mount")
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a file system ({mounted.stderr.strip()})")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, free: int) -> None:
    """Leave so many pages."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            size = file.tell()
        os.ftruncate(file.fileno(), size // PAGE * PAGE - free * PAGE)


def accept(store: RuleStore) -> None:
    stored = store.rules(TASK)[0]
    decisions.decide(store, "小王", TASK, stored.rule.id, stored.version, "accepted")


def note(store: RuleStore) -> None:
    stored = store.rules(TASK)[1]
    decisions.note(store, "小王", TASK, stored.rule.id, stored.version, "很长的备注" * 1000)


def merge(store: RuleStore) -> None:
    one, two = (each for each in store.rules(TASK) if each.rule.label == LABELS[0])
    decisions.merge(store, "小王", TASK, one.rule.id, one.version, two.rule.id, two.version)


def create(store: RuleStore) -> None:
    decisions.create(store, "小王", TASK, LABELS[1], [Condition(field="user", terms=("棉",))])


def skip(store: RuleStore) -> None:
    decisions.skip(store, "小王", TASK, store.rules(TASK)[0].rule.id)


def undo(store: RuleStore) -> None:
    decisions.undo(store, "小王")


@pytest.mark.parametrize("free", [0, 1, 2, 3, 5, 8, 12, 20])
@pytest.mark.parametrize("act", [accept, note, merge, create, skip, undo])
def test_on_a_full_disk_a_decision_is_saved_whole_or_not_at_all(disk, act: Callable[[RuleStore], None], free):
    rule_base(disk / "rules")
    store = RuleStore(disk / "rules", [TASK])
    stored = store.rules(TASK)[2]
    decisions.decide(store, "小王", TASK, stored.rule.id, stored.version, "rejected")
    files, events = contents(store.folder), len(store.history())
    fill(disk, free)
    try:
        act(store)
        saved = True
    except KdslError as error:
        assert "No space left on device); free some space" in str(error)
        saved = False
    assert len(store.history()) == events + saved  # looking is always possible
    assert (contents(store.folder) == files) is (not saved or act is skip)
    assert not [path for path in store.folder.rglob(".*") if path.is_file()]  # nothing temporary stays
    assert saved or free < 20

    (disk / "filler").unlink()
    again = RuleStore(store.folder, [TASK])
    assert again.problems == {} and len(again.history()) == events + saved
    after = contents(store.folder)
    assert all(after.get(file) == text for file, text in replay(again.history()).items())
    if not saved:
        act(store)
        assert len(store.history()) == events + 1
