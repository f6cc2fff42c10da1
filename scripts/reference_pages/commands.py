"""docs/commands.md: every command of `kdsl` with its arguments and options, as `--help` gives them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from kdsl.cli import application

DOCS = Path(__file__).resolve().parents[2] / "docs"

_OPENING = """\
# Commands

Look up here what a command does and which options it takes. `kdsl COMMAND -h` prints the same in a terminal.

Most commands take a project as their first argument: a `kdsl.yaml` or its folder, the current folder by default. If a
command is about one thing (a rule's id, a revision, a file, an address), that is next: `kdsl rules show PROJECT ID`.
Last come changes to entries of [kdsl.yaml](configuration.md) for this run as `key=value`, for example
`seed=1 mining.iterations=500`. The project may also stand behind the id, as it had to in earlier versions.

| option | what it does |
|---|---|
| `kdsl -h`, `kdsl COMMAND -h` | prints all commands, or all options of one (`--help` too) |
| `kdsl -C FOLDER COMMAND …` | runs as if started in that folder, as `git -C` and `make -C` do |
| `kdsl --install-completion` | lets your shell complete commands and options (bash, zsh, fish, PowerShell) |
| `--format table\\|json` | prints results for people or for programs |

Results go to stdout, progress and warnings to stderr, so that a pipe gets results only. Tables fit a window of 80
columns: texts in them are wrapped, and rules are broken between their terms. In a pipe a row stays on one line of at
most 200 columns, unless `COLUMNS` says otherwise. Exit codes: 0 done, 1 findings (for example of `kdsl check` and
`kdsl rules lint`), 2 wrong usage or input, 130 interrupted.

This page is written by `scripts/reference`; change the help texts in `kdsl/cli` instead.
"""

_HOW_TO = {
    "augment": "augmentation.md",
    "check": "data.md",
    "convert": "data.md",
    "demo": "tutorial.md",
    "distill": "reasons.md#a-teachers-labels",
    "evaluate": "evaluation.md",
    "history": "runs.md",
    "hosts": "real_models.md#which-servers-are-contacted-and-which-key-they-get",
    "init": "tutorial.md",
    "mine": "mining.md",
    "ocr": "data.md#sidecars",
    "caption": "data.md#sidecars",
    "predict": "prediction.md",
    "prompt": "retrieval.md",
    "propose": "mining.md#rules-that-a-model-drafts",
    "reasons": "reasons.md#reasons",
    "review": "review.md",
    "rules": "rules.md",
    "run": "tutorial.md",
    "train": "training.md",
}
"""The page that says more about a command, or about all commands of a group."""


def commands_page() -> str:
    commands = dict(_commands(typer.main.get_command(application()), "kdsl"))
    rows = [
        f"| [`{name}`](#{name.replace(' ', '-')}) | {_first_sentence(command)} | {_how_to(name)} |"
        for name, command in commands.items()
    ]
    overview = "\n".join(["| command | what it does | guide |", "|---|---|---|", *rows])
    return "\n".join([_OPENING, overview, "", *(_section(name, command) for name, command in commands.items())])


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Full name (`kdsl rules list`) and command, for all commands of a group and of the groups in it."""
    for child, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {child}")
        else:
            yield f"{name} {child}", command


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parameters = [each for each in command.get_params(context) if each.name != "help"]
    rows = [record for each in parameters if (record := each.get_help_record(context))]
    table = "\n".join(f"| `{_cell(_plain(declaration))}` | {_cell(help)} |" for declaration, help in rows)
    text = " ".join(command.help.split())
    table = f"\n| argument or option | meaning |\n|---|---|\n{table}\n" if rows else ""
    return f"## {name}\n\n{text}\n\n    {usage}\n{table}"


def _plain(declaration: str) -> str:
    """Without the words of a programmer: `--workers <number>` for `--workers <int range>`."""
    return re.sub(r"<(?:int|float) range>", "<number>", declaration).replace(" <list[str]>", "")


def _first_sentence(command: Any) -> str:
    """Up to the first full stop or semicolon: what fits a table."""
    text = " ".join(command.help.split())
    return _cell(text.split("; ")[0].split(". ")[0].rstrip("."))


def _how_to(name: str) -> str:
    page = _HOW_TO.get(name.split()[1])
    return f"[{_title(page.partition('#')[0])}]({page})" if page else ""


def _title(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
