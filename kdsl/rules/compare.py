"""What changed between two versions of a rule base."""

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from kdsl.errors import KdslError
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two versions of a rule: its label, its status, or a condition that only one of them has."""

    what: Literal["label", "status", "condition"]
    before: str | Condition | None
    after: str | Condition | None

    def __str__(self) -> str:
        """`status: proposed → accepted`, `- user has 退`, `+ user has 换`."""
        if self.what != "condition":
            return f"{self.what}: {self.before} → {self.after}"
        return f"+ {self.after}" if self.before is None else f"- {self.before}"


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that differs, with its two versions; None where it does not exist."""

    kind: Literal["added", "removed", "changed"]
    old: Rule | None
    new: Rule | None
    details: tuple[Difference, ...] = ()

    @property
    def id(self) -> str:
        rule = self.new or self.old
        assert rule is not None
        return rule.id

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "details": list(map(str, self.details)),
            "old": None if self.old is None else self.old.record(),
            "new": None if self.new is None else self.new.record(),
        }


def compare(old: Sequence[Rule], new: Sequence[Rule]) -> list[Change]:
    """Rules added, removed and changed, by id; a rule whose label, status and conditions are equal has not changed."""
    before, after = {rule.id: rule for rule in old}, {rule.id: rule for rule in new}
    changes = []
    for id in sorted(before.keys() | after.keys()):
        was, now = before.get(id), after.get(id)
        if was is None or now is None:
            changes.append(Change("added" if was is None else "removed", was, now))
        elif details := tuple(_details(was, now)):
            changes.append(Change("changed", was, now, details))
    return changes


def _details(old: Rule, new: Rule) -> Iterator[Difference]:
    if old.label != new.label:
        yield Difference("label", old.label, new.label)
    if old.status != new.status:
        yield Difference("status", old.status, new.status)
    before = {condition.canonical(): condition for condition in old.conditions}
    after = {condition.canonical(): condition for condition in new.conditions}
    yield from (Difference("condition", each, None) for key, each in before.items() if key not in after)
    yield from (Difference("condition", None, each) for key, each in after.items() if key not in before)


@contextmanager
def rules_at_revision(folder: Path, revision: str) -> Iterator[Path]:
    """A temporary copy of the rule base `folder` as it is in git revision `revision` of its repository."""
    if revision.startswith("-"):
        raise KdslError(f"{revision!r} is neither a folder nor a git revision")
    top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
    commit = (
        _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", missing=revision).decode().strip()
    )
    inside = folder.resolve().relative_to(top.resolve()).as_posix()
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        if _git(top, "ls-tree", "-d", commit, "--", inside):
            archive = _git(top, "archive", "--format=tar", commit, "--", inside)
            with tarfile.open(fileobj=BytesIO(archive)) as tar:
                tar.extractall(copy, filter="data")
        yield copy / inside


def _git(folder: Path, *arguments: str, missing: str | None = None) -> bytes:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise KdslError("git is not installed; compare with a folder instead") from error
    if result.returncode:
        if missing is not None:
            raise KdslError(f"{missing!r} is neither a folder nor a revision of the git repository of {folder}")
        reason = result.stderr.decode(errors="replace").strip().split("\n")[0]
        raise KdslError(f"{folder}: git cannot tell ({reason}); compare with a folder instead")
    return result.stdout
