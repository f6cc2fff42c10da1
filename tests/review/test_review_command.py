import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import webbrowser
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra review")

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
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(address, timeout=30) as answer:
        assert "?token=" in address and "token" not in answer.url
        assert "user turns contain 亮度" in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address.partition("?")[0], timeout=30)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors and process.returncode in (0, 130)
    assert "token" not in output + errors


def test_a_port_in_use_is_a_sentence(project):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = kdsl("review", project, "--port", other.getsockname()[1], "--no-browser")
    assert result.returncode == 2 and "choose another with --port" in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_without_a_token_only_this_computer_is_let_in(project, host):
    result = kdsl("review", project, "--no-token", "--host", host, "--no-browser")
    assert result.returncode == 2 and "--no-token would let everybody on the network decide" in result.stderr


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "who decides has no name"),
        ("  ", "who decides has no name"),
        ("小\n王", "is no name to decide under"),
        ("x" * 61, "is no name to decide under; give one of at most 60 visible characters with --as NAME"),
        (b"\xff".decode("utf-8", "surrogateescape"), "is no name to decide under"),
    ],
)
def test_a_name_that_nobody_can_read_is_refused_at_the_start(project, name, sentence):
    for command in (["review", project, "--no-browser"], ["rules", "import", project / "none.csv", project]):
        result = kdsl(*command, "--as", name)
        assert result.returncode == 2 and sentence in result.stderr, result.stderr


def test_the_browser_is_told_the_token_in_a_file_that_only_the_user_can_read(monkeypatch):
    from kdsl.review.serving import opened

    told: list[str] = []
    monkeypatch.setattr(webbrowser, "open", told.append)
    with opened("http://127.0.0.1:8321/?token=geheim"):
        [address] = told
        page = Path(urllib.parse.urlsplit(address).path)
        assert address.startswith("file://") and "geheim" not in address
        assert 'content="0; url=http://127.0.0.1:8321/?token=geheim"' in page.read_text(encoding="utf-8")
        assert page.stat().st_mode & 0o077 == 0 and page.parent.stat().st_mode & 0o077 == 0
    assert not page.parent.exists()


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
