"""Attacks by bad files: one file of a project is spoiled, one command runs, and what it did is judged."""

import os
import random
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attacker.child import Outcome, run_command, run_in_child
from attacker.damage import damage, snapshot
from attacker.mutations import MUTATIONS, no_permission
from attacker.project import PERSON
from attacker.watching import on_open

_TEST = ["--input", "data/test.json"]
COMMANDS: tuple[list[str], ...] = (
    ["check", "."], ["ocr", ".", "--workers", "1"], ["mine", ".", "--workers", "1"], ["train", "."],
    ["run", ".", "--workers", "1"], ["predict", ".", *_TEST, "--output", "predictions.jsonl"],
    ["predict", ".", *_TEST, "--output", "out/new.jsonl"], ["predict", ".", *_TEST, "--explain", "t1"],
    ["evaluate", ".", "--predictions", "predictions.jsonl", "--truth", "data/test.json", "--output", "out/e"],
    ["evaluate", ".", "--cross-validate", "2", "--workers", "1", "--output", "out/c"],
    ["augment", ".", "--workers", "1"], ["prompt", ".", "--sample", "s1"], ["prompt", ".", "--sample", "p1"],
    ["convert", ".", *_TEST, "--format", "sharegpt", "--output", "out/sharegpt.json"],
    ["convert", ".", *_TEST, "--format", "submission", "--predictions", "predictions.jsonl", "--output", "out/s.csv"],
    ["reasons", ".", "--import", "data/reasons.jsonl"], ["rules", "list", "."], ["rules", "lint", "."],
    ["rules", "test", "."], ["rules", "stats", "."], ["rules", "fmt", "."], ["rules", "show", "r-person01", "."],
    ["rules", "export", ".", "--output", "rules.csv"], ["rules", "import", "rules.csv", ".", "--as", PERSON],
    ["review"],
)  # fmt: skip


@dataclass
class Tally:
    """What came of the attacks; `faults` holds a line for everything that must not be."""

    tried: int = 0
    done: int = 0
    sentences: int = 0
    tracebacks: int = 0
    hung: int = 0
    damaged: int = 0
    by_mutation: Counter[str] = field(default_factory=Counter)
    by_command: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def attack_inputs(
    base: Path, work: Path, tally: Tally, numbers: Sequence[int], seed: int, verbose: bool = False
) -> Iterator[None]:
    """Attack copies of the folder `base`, which holds `project`, one after the other, counting into `tally`.

    An attack depends on its number and the seed alone, so that one can be tried again.
    """
    readers = _readers(base, work)
    files = [name for name in _files(base / "project") if _kind(name) in readers]
    kinds = sorted(readers)
    for number in numbers:
        source = random.Random(f"{seed} {number}")
        # Every kind of file is met equally often, however many files there are of it.
        kind = source.choice(kinds)
        target = source.choice([name for name in files if _kind(name) == kind])
        mutation = MUTATIONS[number % len(MUTATIONS)]
        arguments = source.choice(readers[kind])
        place = work / "attacked"
        shutil.copytree(base, place, symlinks=True)
        try:
            modes = {path: path.stat().st_mode for path in [place, *place.rglob("*")]}
            how = mutation(place / "project" / target, source)
            rootless = mutation is no_permission
            if rootless:
                taken = {path: path.stat().st_mode for path in modes}
                _set_modes(modes)
            before = snapshot(place)
            if rootless:
                _set_modes(taken)
            outcome = _run(arguments, place / "project", rootless)
            if rootless:
                _set_modes(modes)
            after = snapshot(place)
            _judge(tally, number, f"project/{target}", mutation.__name__, how, arguments, outcome, before, after)
            if verbose:
                print(number, mutation.__name__, target, how, arguments, outcome.code, outcome.err[-300:])
        finally:
            shutil.rmtree(place)
        yield


def _run(arguments: list[str], project: Path, rootless: bool, before: Callable[[], None] | None = None) -> Outcome:
    if arguments == ["review"]:
        return run_in_child(_open_review, project, rootless, before)
    return run_command(arguments, project, rootless, before)


def _open_review() -> None:
    """Open the review page's project, without a server, as `kdsl review` would, and look at every page once."""
    import sys

    from kdsl.errors import KdslError
    from kdsl.project.project import Project
    from kdsl.review.live import open_live

    try:
        live = open_live(Project.open(Path()), PERSON)
        live.refresh()
        live.site.store.history()
    except KdslError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _judge(
    tally: Tally, number: int, target: str, mutation: str, how: str, arguments: list[str], outcome: Outcome,
    before: dict, after: dict,
) -> None:  # fmt: skip
    tally.tried += 1
    tally.by_mutation[mutation] += 1
    tally.by_command[" ".join(arguments[:2]) if arguments[0] == "rules" else arguments[0]] += 1
    what = f"{number}: {target} {mutation} ({how}); kdsl {' '.join(arguments)}"
    last = [line for line in outcome.err.splitlines() if line.strip()]
    if outcome.code is None:
        tally.hung += 1
        tally.faults.append(f"{what}: hangs")
    elif "Traceback (most recent call last)" in outcome.err or outcome.code not in (0, 1, 2):
        tally.tracebacks += 1
        tally.faults.append(f"{what}: exit code {outcome.code}, {last[-1] if last else 'not a word'}")
    elif outcome.code == 2:
        # "Error:" stands under how a command is used, where already its arguments are refused.
        errors = [line for line in last if line.lower().startswith("error: ")]
        if len(errors) == 1 and last[-1] == errors[0]:
            tally.sentences += 1
        else:
            tally.faults.append(f"{what}: exit code 2 without one sentence: {outcome.err[-400:]!r}")
    else:
        tally.done += 1
    # What may not be read is whole all the same, and may be written anew.
    spoiled = "" if mutation == no_permission.__name__ else target
    harmed = damage(before, after, spoiled, arguments, failed=outcome.code == 2)
    tally.damaged += len(harmed)
    tally.faults.extend(f"{what}: {sentence}" for sentence in harmed)


def _readers(base: Path, work: Path) -> dict[str, list[list[str]]]:
    """Kind of file → the commands that open one of it, as they were seen to."""
    found: dict[str, list[list[str]]] = {}
    for arguments in COMMANDS:
        place, log = work / "watched", work / "opened"
        shutil.copytree(base, place, symlinks=True)
        log.write_bytes(b"")
        handle = os.open(log, os.O_WRONLY | os.O_APPEND)
        before = on_open(
            place / "project", lambda name, handle=handle: (os.write(handle, name.encode() + b"\n"), None)[1]
        )
        _run(arguments, place / "project", False, before)
        os.close(handle)
        there = set(_files(base / "project"))
        for kind in sorted({_kind(name) for name in log.read_text("utf-8").splitlines() if name in there}):
            found.setdefault(kind, []).append(arguments)
        shutil.rmtree(place)
    return found


def _files(project: Path) -> list[str]:
    return [path.relative_to(project).as_posix() for path in sorted(project.rglob("*")) if path.is_file()]


def _kind(name: str) -> str:
    """Files of one kind have one reader: all images, all rule files, and every other file by itself."""
    path = Path(name)
    return (
        f"{path.parts[0]}/*{path.suffix}" if path.suffix in (".png", ".yaml", ".jpg") and len(path.parts) > 1 else name
    )


def _set_modes(modes: dict[Path, int]) -> None:
    """Folders before what is in them, as one must be able to reach it."""
    for path in sorted(modes):
        if path.exists() and not path.is_symlink():
            path.chmod(stat.S_IMODE(modes[path]))
