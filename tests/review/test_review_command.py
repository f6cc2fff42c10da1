import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs kdsl[review]")

DIALOGUES = [("亮度能调吗", "调光"), ("能变暗吗", "调光"), ("什么面料", "材质"), ("棉麻的吗", "材质")]


@pytest.fixture
def project(tmp_path: Path, write) -> Path:
    write("task.yaml", "name: shop\nlabels:\n  - {name: 调光}\n  - {name: 材质}\n")
    write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl}\n")
    lines = [
        f'{{"id": "s{i}", "turns": [{{"role": "user", "text": "{text}"}}], "label": "{label}"}}\n'
        for i, (text, label) in enumerate(DIALOGUES)
    ]
    write("train.jsonl", "".join(lines))
    write("rules/shop/调光/a--r-aaaa.yaml", 'id: r-aaaa\nlabel: "调光"\nwhen:\n  all:\n    - user: ["亮度"]\n')
    return tmp_path


def kdsl(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kdsl", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_the_command_prints_its_address_serves_the_page_and_ends_on_interrupt(project):
    process = subprocess.Popen(
        [sys.executable, "-m", "kdsl", "review", str(project), "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    address = process.stdout.readline().strip()
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert "user turns contain 亮度" in answer.read().decode()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors and process.returncode in (0, 130)


def test_a_port_in_use_is_a_sentence(project):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = kdsl("review", project, "--port", other.getsockname()[1], "--no-browser")
    assert result.returncode == 2 and "choose another with --port" in result.stderr


def test_rules_go_out_as_a_table_and_decisions_come_back(project):
    table = project / "rules.csv"
    assert kdsl("rules", "export", project, "--output", table).returncode == 0
    table.write_text(table.read_text("utf-8-sig").replace("proposed", "accepted"), encoding="utf-8")
    result = kdsl("rules", "import", table, project, "--as", "小李")
    assert result.returncode == 0 and result.stdout.startswith("1 rules changed")
    assert 'by: "小李"' in (project / "rules/shop/调光/a--r-aaaa.yaml").read_text(encoding="utf-8")
    assert "### 调光" in kdsl("rules", "export", project, "--format", "markdown").stdout
    again = kdsl("rules", "import", table, project)
    assert again.stdout == "No rule differs.\n"
