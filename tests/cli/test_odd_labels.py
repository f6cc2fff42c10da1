"""Any text is a label: the whole chain on labels that file systems, spreadsheets, YAML and plots take for others."""

import csv
import io
import json
import random
from pathlib import Path

import pytest
from small_shop import FILLER, read, write

LABELS = ["-", "...", "CON", "a/b", "=1+1", "$\\frac{$", "OK", "ok", "é", "e\u0301", "[b]红[/b]\\", "很长" * 120]
WORDS = ["亮度", "材质", "快递", "尺码", "退货", "发票", "赠品", "换货", "维修", "清洗", "安装", "送货"]


def samples(n: int, seed: int) -> list[dict]:
    source = random.Random(seed)
    return [
        {"id": f"{seed}-{i}", "text": "".join(source.choices(FILLER, k=30)) + "，" + WORDS[i % len(LABELS)],
         "label": LABELS[i % len(LABELS)]}
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    labels = "".join(f"  - {{name: {json.dumps(label)}}}\n" for label in LABELS)
    (tmp_path / "task.yaml").write_text(f"name: odd\nlabels:\n{labels}", "utf-8")
    (tmp_path / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: train.jsonl, test: test.jsonl}\n"
        "mining: {max_conditions: 1, iterations: 30}\naugment: {copies: 1}\n",
        "utf-8",
    )
    write(tmp_path / "train.jsonl", samples(8 * len(LABELS), 0))
    write(tmp_path / "test.jsonl", samples(2 * len(LABELS), 1))
    return tmp_path


def test_any_text_is_a_label(kdsl, project):
    assert kdsl("run", project, "--workers", 1).code == 0

    predictions = read(project / "checkpoints/run/predictions.jsonl")
    assert {each["label"] for each in predictions} == set(LABELS)
    folders = [path for path in (project / "rules/odd").iterdir() if path.is_dir()]
    assert len(folders) == len(LABELS)

    assert "(misplaced file)" not in kdsl("rules", "lint", project).out
    rules = json.loads(kdsl("rules", "list", project, "--format", "json").out)
    assert {rule["label"] for rule in rules} == set(LABELS)
    for label in ("[b]红[/b]\\ ", "$\\frac{$", "=1+1"):
        assert label in kdsl("check", project).out
        assert label in kdsl("rules", "list", project).out

    table = project / "rules.csv"
    assert kdsl("rules", "export", project, "--output", table).code == 0
    before = {path: path.read_bytes() for path in project.rglob("rules/odd/**/*.yaml")}
    assert kdsl("rules", "import", table, project).out == "No rule differs.\n"
    assert {path: path.read_bytes() for path in project.rglob("rules/odd/**/*.yaml")} == before

    report = (project / "checkpoints/run/evaluation/labels.csv").read_text("utf-8-sig")
    assert [row[1] for row in csv.reader(io.StringIO(report))][1:] == [
        f"'{label}" if label[0] in "=-" else label for label in LABELS
    ]
    assert (project / "checkpoints/run/evaluation/confusion-odd.png").stat().st_size > 0


def test_the_page_shows_rules_of_any_label(kdsl, project):
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from kdsl.project.project import Project
    from kdsl.review.app import create_app
    from kdsl.review.live import open_live

    assert kdsl("mine", project, "--workers", 1).code == 0
    client = TestClient(create_app(open_live(Project.open(project), "tester"), ["testserver"], background=False))
    for label in LABELS:
        assert client.get("/t/odd/rules", params={"label": label}).status_code == 200
