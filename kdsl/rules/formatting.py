"""Rule files in the one form that KDSL writes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.locks import held
from kdsl.rules.rule_file import rule_text
from kdsl.rules.rulebase import RuleBase


@dataclass
class Formatted:
    """What formatting did to rule files, or would do."""

    files: int = 0
    """Those that can be rewritten, or need not be."""
    changed: list[Path] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    """File → why it is as it was, in a sentence that begins with the file."""


def format_rule_files(
    folder: Path, tasks: Iterable[str], check: bool = False, tell: Callable[[Path], None] = lambda path: None
) -> Formatted:
    """Rewrite the rule files of `tasks` in the rule base at `folder`; comments are kept.

    With `check` nothing is written, only found. `tell` is called with each file that is not in its form. Raises
    KdslError for a file that cannot be written.
    """
    found = Formatted()
    # Between reading and writing a file nobody decides about it, and nothing is mined.
    with held(folder, shared=check):
        for task in tasks:
            base = RuleBase.load(folder, task, problems="list")
            found.left_out |= base.problems
            for file in base.files:
                try:
                    wanted = rule_text(file.rule, file.text)
                except KdslError as error:
                    found.left_out[file.path] = f"{file.path}: {error}"
                    continue
                found.files += 1
                if file.text.removeprefix("\ufeff") != wanted:
                    found.changed.append(file.path)
                    tell(file.path)
                    if not check:
                        base.save(file.rule)
    return found
