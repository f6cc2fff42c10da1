"""What a user gets who installs the wheel: built, installed and run outside the repository, without a network."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from filelock import FileLock

import kdsl
from kdsl.version import RESULTS_VERSION

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "setup.py")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
OFFLINE = ("--no-deps", "--no-index")


@dataclass(frozen=True)
class Installed:
    """A wheel, and an environment in which it is installed."""

    wheel: Path
    environment: Path

    def run(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, beside it and so outside the repository."""
        command = [_program(self.environment, name), *arguments]
        return subprocess.run(command, cwd=self.environment.parent, env=_variables(), capture_output=True, text=True)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built by way of the source archive, once for a run, by whichever of its processes comes first."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "packaging"
    with FileLock(f"{folder}.lock"):
        if not (folder / "ready").exists():
            _install(_build(folder), folder / "environment")
            (folder / "ready").touch()
    return Installed(next(folder.glob("*.whl")), folder / "environment")


def _build(folder: Path) -> Path:
    """The wheel of a copy of the sources: setuptools leaves files beside what it builds."""
    sources = folder / "sources"
    shutil.copytree(ROOT / "kdsl", sources / "kdsl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "rules", sources / "rules")
    for name in SOURCES:
        shutil.copy(ROOT / name, sources)
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
    _check([sys.executable, "-c", build], cwd=sources)
    archive = next(folder.glob("*.tar.gz"))
    _check([*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, archive])
    return next(folder.glob("*.whl"))


def _install(wheel: Path, environment: Path) -> None:
    """Install the wheel into an environment of its own, which sees the packages of this one behind it."""
    venv.create(environment, symlinks=os.name != "nt")
    _check([*PIP, "--python", _program(environment, "python"), "install", *OFFLINE, wheel])
    # What .pth files in this environment name is not seen there, so neither is a checkout that is installed in it.
    own = next(environment.glob("[Ll]ib/**/site-packages"))
    (own / "requirements.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))


def _program(environment: Path, name: str) -> Path:
    return environment / ("Scripts" if os.name == "nt" else "bin") / name


def _check(command: list[str | Path], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=_variables(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_holds_the_package_whole_and_nothing_else(installed):
    with ZipFile(installed.wheel) as wheel:
        shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = (path.relative_to(ROOT) for path in (ROOT / "kdsl").rglob("*") if path.is_file())
    rules = (path.relative_to(ROOT / "rules") for path in (ROOT / "rules").rglob("*.yaml"))
    assert shipped == {path.as_posix() for path in files if "__pycache__" not in path.parts} | {
        f"kdsl/rule_bases/{path.as_posix()}" for path in rules
    }
    assert {"kdsl/py.typed", "kdsl/demo/kdsl.yaml", "kdsl/demo/data/train.json"} <= shipped


def test_the_rules_that_ship_are_installed_and_go_into_a_new_project(installed, tmp_path):
    done = installed.run("kdsl", "init", tmp_path / "shop", "--task", "mire_intent")
    assert done.returncode == 0, done.stderr
    shipped, copied = (
        {path.name for path in (folder / "mire_intent").rglob("*.yaml")}
        for folder in (ROOT / "rules", tmp_path / "shop" / "rules")
    )
    assert shipped == copied and len(shipped) > 50


def test_name_and_version(installed):
    assert installed.wheel.name == f"kdsl_rules-{kdsl.__version__}-py3-none-any.whl"
    facts = json.loads(installed.run("kdsl", "info", "--format", "json").stdout)
    assert (facts["kdsl"], facts["distribution"]) == (kdsl.__version__, f"kdsl-rules {kdsl.__version__}")
    assert facts["numpy"][0].isdigit()


def test_what_is_imported_is_what_was_installed(installed):
    done = installed.run("python", "-c", "import kdsl; print(kdsl.__version__, kdsl.__file__)")
    version, _, file = done.stdout.strip().partition(" ")
    assert version == kdsl.__version__, done.stderr
    assert Path(file).is_relative_to(installed.environment)


def test_the_version_is_known_where_nothing_else_is_installed():
    """setup.cfg reads it, and a tool may ask for it before there is an environment."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import kdsl; print(kdsl.__version__)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{kdsl.__version__}\n", "")


def test_a_message_says_what_to_install(installed):
    code = "import sys; sys.modules['uvicorn'] = None; sys.argv = ['kdsl', 'review', sys.argv[1]]\n"
    code += "from kdsl.cli import main; main()"
    done = installed.run("python", "-c", code, ROOT / "kdsl" / "demo")
    assert re.fullmatch(
        r'error: kdsl review needs uvicorn: pip install "fastapi>=\S+" .*"uvicorn>=\S+"\n', done.stderr
    )


def test_the_demo_runs_and_a_patch_release_makes_nothing_again(installed, tmp_path):
    demo = "demo", tmp_path / "demo", "mining.iterations=20", "--workers", "1"
    first = installed.run("kdsl", *demo)
    assert first.returncode == 0, first.stderr
    assert "both" in first.stdout
    assert len((tmp_path / "demo/checkpoints/run/predictions.jsonl").read_text("utf-8").splitlines()) == 98

    patch = f"{RESULTS_VERSION}.99"
    with ZipFile(installed.wheel) as wheel:
        wheel.extractall(tmp_path / patch)
    face = tmp_path / patch / "kdsl/version.py"
    face.write_text(face.read_text("utf-8").replace(f'"{kdsl.__version__}"', f'"{patch}"'), "utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / patch)!r}); from kdsl.cli import main; main()"
    assert installed.run("python", "-c", code, "--version").stdout == f"kdsl {patch}\n"
    again = installed.run("python", "-c", code, *demo)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert len(again.stderr.splitlines()) >= 5
    assert all(" (unchanged): " in line for line in again.stderr.splitlines())
