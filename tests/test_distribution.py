"""What installs what: requirements by extra, the command that a message names, and when results are out of date."""

import configparser
import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import kdsl
from kdsl import distribution
from kdsl.distribution import EXTRAS, install_command, requirements
from kdsl.version import RESULTS_VERSION

ROOT = Path(__file__).resolve().parents[1]
TOLD = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("kdsl/**/*.py"), *ROOT.glob("kdsl/**/*.html")]
METADATA = [
    "numpy>=2.0",
    'fastapi>=0.115; extra == "review"',
    "jinja2>=3.1 ; extra=='review'",
    'rapidocr>=3; python_version < "3.14" and extra == "ocr"',
    'kdsl-rules[review]; extra == "all"',
]


@pytest.fixture
def installed(monkeypatch) -> None:
    monkeypatch.setattr(distribution, "requires", {"kdsl-rules": METADATA}.__getitem__)


@pytest.fixture
def only_imported(monkeypatch) -> None:
    def requires(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(distribution, "requires", requires)


@pytest.mark.usefixtures("installed")
def test_requirements_are_those_of_the_extra_alone():
    assert requirements() == ["numpy>=2.0"]
    assert requirements("review") == ["fastapi>=0.115", "jinja2>=3.1"]
    assert requirements("ocr") == ["rapidocr>=3"]


@pytest.mark.usefixtures("installed")
def test_an_extra_is_installed_by_its_requirements():
    assert install_command("review") == 'pip install "fastapi>=0.115" "jinja2>=3.1"'


@pytest.mark.usefixtures("only_imported")
def test_an_extra_of_a_checkout_that_is_not_installed_is_installed_from_there():
    assert requirements("review") == []
    assert install_command("review") == f'pip install "{ROOT}[review]"'


def test_the_extras_are_those_of_setup_cfg():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert set(setup["options.extras_require"]) == {*EXTRAS, "test", "docs", "mutants", "all"}
    assert setup["metadata"]["name"] == distribution.NAME


def test_nobody_is_told_to_install_another_project():
    """Neither `kdsl` nor `kdsl[…]` on the package index is this one."""
    wrong = re.compile(r"pip install[^\n`]*[ \"']kdsl(?![-\w/])")
    assert wrong.search('pip install "kdsl[review]"')
    assert [path for path in TOLD if wrong.search(path.read_text("utf-8"))] == []


def test_results_are_out_of_date_with_a_minor_release_and_not_with_a_patch():
    assert kdsl.__version__.startswith(f"{RESULTS_VERSION}.")
    assert RESULTS_VERSION.count(".") == 1


def test_nothing_but_what_is_shown_depends_on_the_whole_version():
    using = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "kdsl").rglob("*.py")
        if re.search(r"\b__version__\b", path.read_text("utf-8"))
    }
    assert using == {
        "kdsl/__init__.py",
        "kdsl/cli/__init__.py",
        "kdsl/distributed/ray_cluster.py",
        "kdsl/distributed/results.py",
        "kdsl/distribution.py",
        "kdsl/models/large/card.py",
        "kdsl/models/large/model_export.py",
        "kdsl/project/runs.py",
        "kdsl/serve/metrics.py",
        "kdsl/serve/openapi.py",
        "kdsl/version.py",
    }
