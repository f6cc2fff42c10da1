"""Every command has help; the reference is what the code says; links lead somewhere; translations keep in step."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from kdsl.cli import application

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted(DOCS.glob("*.md"))]
TRANSLATIONS = sorted({*ROOT.glob("*.zh-CN.md"), *DOCS.glob("*.zh-CN.md")})
PACKAGE = ROOT / "kdsl"


def commands() -> dict[str, Any]:
    """Full name of every command, `kdsl rules list` included, to the command."""
    found: dict[str, Any] = {}

    def walk(group: Any, name: str) -> None:
        for child, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, f"{name} {child}")
            else:
                found[f"{name} {child}"] = command

    walk(typer.main.get_command(application()), "kdsl")
    return found


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """What a heading is linked by, on the site as on GitHub."""
    text = re.sub(r"[`*]", "", heading).lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text).strip())


def headings(page: Path) -> Iterator[tuple[int, str]]:
    for marks, text in re.findall(r"^(#+) (.+)$", without_code(page), re.MULTILINE):
        yield len(marks), text


def blocks(page: Path) -> list[str]:
    """What a reader is told to type: code of a shell and of Python, and `$ ` lines only where outputs follow."""
    text = page.read_text("utf-8")
    found = re.findall(r"^```(?:console|bash|python)(?: title=.*)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^(?!\$ ).*\n", "", block, flags=re.MULTILINE) if "$ " in block else block for block in found]


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


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages that scripts/reference writes."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, ROOT / "scripts" / "reference", "--folder", folder], check=True)
    return folder


@pytest.mark.parametrize("name", ["commands.md", "configuration.md", "reference_python.md"])
def test_the_reference_is_up_to_date(name, reference):
    assert (DOCS / name).read_text("utf-8") == (reference / name).read_text("utf-8"), "run scripts/reference"


def test_every_command_and_every_key_stands_in_the_reference(reference):
    text = (reference / "commands.md").read_text("utf-8")
    assert [name for name in commands() if f"\n## {name}\n" not in text] == []
    rows = re.findall(r"^\| `([\w.]+)` \|.*\| (.*) \|$", (reference / "configuration.md").read_text("utf-8"), re.M)
    assert {"tasks", "data.train", "mining.focus", "training.learning_rate"} <= {key for key, _ in rows}
    assert [key for key, meaning in rows if not meaning.strip()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    lost = []
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", without_code(page)):
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (heading and heading not in {anchor(text) for _, text in headings(target)}):
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_menu_of_the_site():
    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for child in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(child)

    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2])
    assert sorted(pages(menu)) == sorted(page.name for page in DOCS.glob("*.md"))


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == DOCS], ids=lambda page: page.name)
def test_every_page_says_first_what_it_is_for(page):
    assert next(headings(page))[0] == 1
    opening = page.read_text("utf-8").split("\n\n")[1]
    assert re.match(r"After this|Look up here|KDSL classifies|读完", opening), opening


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
def test_a_translation_has_the_headings_and_commands_of_the_original(page):
    original = page.with_name(page.name.replace(".zh-CN", ""))
    assert [level for level, _ in headings(page)] == [level for level, _ in headings(original)]
    assert blocks(page) == blocks(original) != []


def test_there_are_translations():
    assert [page.name for page in TRANSLATIONS] == ["README.zh-CN.md", "tutorial.zh-CN.md"]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_program_in_the_readme_runs(page):
    program = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(program) == 1
    texts = ["I want a refund", "refund please", "a refund, now", "which size", "the size is wrong", "size 42 or 43"]
    names = {"texts": texts, "labels": ["refund"] * 3 + ["size"] * 3}
    exec(program[0], names)
    assert names["classifier"].predict(["Where is my refund?"]) == ["refund"]


def architecture(section: str) -> list[str]:
    """The names in the first column of a section's table."""
    text = (DOCS / "architecture.md").read_text("utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([\w]+)/?` \|", text, re.MULTILINE)


def test_the_architecture_lists_every_room_and_every_module_of_the_ground_floor():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(architecture("The rooms")) == sorted(rooms)
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert sorted(architecture("The ground floor")) == sorted(modules)


def test_the_architecture_has_the_order_of_the_import_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "rooms")
    modules = [name for layer in reversed(layers) for name in layer.split(" | ")]
    rooms = architecture("The rooms")
    assert [name for name in modules if name in rooms] == rooms
    assert set(modules) == {*rooms, *architecture("The ground floor")}
