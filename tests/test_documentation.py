"""Every command has help and stands in the docs; what the docs link to exists."""

import re
from pathlib import Path

import pytest
import typer

from kdsl.cli import application

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> dict[str, object]:
    """Full name of every command, `kdsl rules list` included, to the command."""
    found: dict[str, object] = {}

    def walk(group: object, name: str) -> None:
        for child, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, f"{name} {child}")
            else:
                found[f"{name} {child}"] = command

    walk(typer.main.get_command(application()), "kdsl")
    return found


def test_there_are_commands():
    assert {"kdsl run", "kdsl mine", "kdsl rules lint"} <= set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_option_has_help(name):
    command = commands()[name]
    assert command.help and len(command.help) > 20
    undocumented = [
        parameter.name for parameter in command.params if parameter.param_type_name == "option" and not parameter.help
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_stands_in_the_docs(name):
    assert f"`{name}" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
