"""kdsl mine, from samples to rule files."""

import json
import random
import signal
import sys
from pathlib import Path

import networkx
import pytest
from interrupted import run_interrupted

from kdsl.distribution import install_command
from kdsl.mining.archive import load_archive
from kdsl.rules.rulebase import RuleBase

WORDS = {"能否调光": ("亮度", "调光", "灯光"), "商品材质": ("棉麻", "面料", "材质"), "其他": ("包邮", "谢谢", "在吗")}


def write_project(folder: Path, n: int = 36, iterations: int = 40, filler: int = 6) -> Path:
    source = random.Random(0)
    lines = []
    for i in range(n):
        label = list(WORDS)[i % 3]
        noise = "".join(source.choices("春夏秋冬东南西北金木水火山石田土日月星云", k=filler))
        text = f"{noise}，{source.choice(WORDS[label])}"
        lines.append(json.dumps({"id": f"s{i}", "text": text, "label": label}, ensure_ascii=False))
    (folder / "train.jsonl").write_text("\n".join(lines), "utf-8")
    labels = ", ".join(f'{{name: "{label}"}}' for label in WORDS)
    (folder / "task.yaml").write_text(f"name: shop\nlabels: [{labels}]\n", "utf-8")
    (folder / "kdsl.yaml").write_text(
        f"tasks: [task.yaml]\ndata: {{train: train.jsonl}}\nmining: {{iterations: {iterations}}}\n"
    )
    return folder


@pytest.fixture
def project(tmp_path) -> Path:
    return write_project(tmp_path)


def files(project: Path) -> dict[str, bytes]:
    return {str(path.relative_to(project)): path.read_bytes() for path in project.rglob("*") if path.is_file()}


def test_it_writes_rules_statistics_and_archive_and_shows_the_best(kdsl, project):
    result = kdsl("mine", project, "--workers", 1)
    assert result.code == 0
    assert all(word in result.out for word in ("best rule", "商品材质", "text"))
    base = RuleBase.load(project / "rules", "shop")
    assert {rule.label for rule in base.rules} == set(WORDS)
    assert {(rule.id, rule.when_hash) for rule in base.rules} == set(base.statistics())
    assert all(rule.provenance.source == "mcts" and rule.provenance.seed == 0 for rule in base.rules)
    archive = load_archive(project / "checkpoints/run/shop/mining.json")
    assert len(archive.held_out) == 5
    n = len(base.rules)
    assert f"{project / 'rules/shop'}: {n} rules added, 0 removed, 0 kept" in result.err
    assert list((project / "checkpoints/run/shop").iterdir()) == [project / "checkpoints/run/shop/mining.json"]


def test_json_says_the_same(kdsl, project):
    [task] = json.loads(kdsl("mine", project, "--format", "json", "--workers", 1).out)
    base = RuleBase.load(project / "rules", "shop")
    assert sorted(task["added"]) == sorted(rule.id for rule in base.rules)
    assert [(row["label"], row["samples"]) for row in task["labels"]] == [(label, 12) for label in WORDS]
    for row in task["labels"]:
        assert row["rules"] == len(base.by_label(row["label"]))
        assert base.get(row["best"]["id"]).label == row["label"]
        assert 0 < row["best"]["training"]["correct"] <= row["best"]["training"]["hits"]


@pytest.mark.parametrize(("count", "told"), [(0, None), (1, "1 unlabelled sample"), (7, "7 unlabelled samples")])
def test_it_says_that_rules_were_looked_at_on_unlabelled_samples(kdsl, project, count, told):
    texts = [{"task": "shop", "text": f"没有标签的{name}"} for name in "甲乙丙丁戊己庚"[:count]]
    (project / "new.jsonl").write_text("".join(json.dumps(each) + "\n" for each in texts), "utf-8")
    asked = [f"data.unlabelled={project / 'new.jsonl'}"] if count else []
    result = kdsl("mine", project, "--format", "json", "--workers", 1, *asked)
    assert result.code == 0, result.err
    assert json.loads(result.out)[0]["unlabelled"] == count
    assert (f"shop: reliability goes by {told}, too" in result.err) == (told is not None)
    archive = load_archive(project / "checkpoints/run/shop/mining.json")
    assert (archive.reliability.unheard != 0) == any(
        entry.shown.expected is not None for part in archive.held_out for entry in part
    )


def test_a_second_run_changes_no_file(kdsl, project):
    kdsl("mine", project, "--workers", 1)
    before = files(project)
    result = kdsl("mine", project, "--workers", 2)
    assert result.code == 0
    assert "0 rules added, 0 removed" in result.err
    assert files(project) == before


def test_one_label_is_looked_at_without_changing_anything(kdsl, project):
    before = files(project)
    rows = json.loads(kdsl("mine", project, "--label", "商品材质", "--format", "json").out)
    assert rows and all(row["reliability"] is None for row in rows)
    assert files(project) == before
    kdsl("mine", project, "--workers", 1)
    rows = json.loads(kdsl("mine", project, "--label", "商品材质", "--format", "json").out)
    assert [row["reliability"] for row in rows] == sorted((row["reliability"] for row in rows), reverse=True)
    assert "shop: 商品材质" in kdsl("mine", project, "--label", "商品材质").out


def test_trace_writes_the_graph_of_one_search(kdsl, project):
    result = kdsl("mine", project, "--trace", "能否调光")
    graphml, node_link = map(Path, result.out.split())
    assert (graphml.name, node_link.name) == ("trace-能否调光.graphml", "trace-能否调光.json")
    assert len(networkx.read_graphml(graphml)) == len(json.loads(node_link.read_text("utf-8"))["nodes"]) > 3
    assert not (project / "rules").exists()


@pytest.mark.parametrize("option", ["--label", "--trace"])
def test_a_label_that_no_task_has_is_an_error_with_a_hint(kdsl, project, option):
    result = kdsl("mine", project, option, "材质")
    assert (result.code, result.out) == (2, "")
    assert "no task of the project has the label '材质'; did you mean '商品材质'" in result.err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rules={}/kdsl.yaml", "kdsl.yaml/shop: cannot be read (Not a directory)"),
        ("checkpoint={}/kdsl.yaml", "kdsl.yaml/shop/mining.resume.jsonl: cannot be"),
        ("data.train={}/nothing.jsonl", "nothing.jsonl: no such file"),
        ("data.train={}/one.jsonl", "shop: mining needs samples of at least two labels, found '其他'"),
        (
            "data.train={}/unlabelled.jsonl",
            "unlabelled.jsonl: no sample has a label, and mining needs labelled samples",
        ),
    ],
)
def test_what_cannot_be_mined_is_one_sentence(kdsl, project, override, message):
    (project / "one.jsonl").write_text('{"id": "a", "text": "亮度", "label": "其他"}\n', "utf-8")
    (project / "unlabelled.jsonl").write_text('{"id": "u", "text": "亮度"}\n', "utf-8")
    result = kdsl("mine", project, override.format(project))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ") and result.err.count("\n") == 1
    assert message in result.err
    assert not list(project.rglob("rules/shop/*"))


def test_samples_without_text_give_a_warning_and_no_rules(kdsl, project):
    lines = [json.dumps({"id": f"s{i}", "text": "", "label": list(WORDS)[i % 3]}) for i in range(9)]
    (project / "train.jsonl").write_text("\n".join(lines), "utf-8")
    result = kdsl("mine", project, "--workers", 1)
    assert result.code == 0
    assert "warning: shop: the samples gave no candidate condition" in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_whole_files_and_the_same_command_goes_on(tmp_path):
    project = write_project(tmp_path, n=150, iterations=4000, filler=40)
    resume = project / "checkpoints/run/shop/mining.resume.jsonl"
    stopped = run_interrupted(signal.SIGINT, resume.parent, resume.name, 2, "mine", project, "--workers", 2)
    assert stopped.returncode == 130
    assert stopped.stderr.endswith(
        "interrupted: the searches of shop that were done are kept; the same command goes on from there\n"
    )
    assert "Traceback" not in stopped.stderr
    done = resume.read_bytes().count(b"\n") - 1
    assert 1 <= done < 18
    assert not list((project / "rules").rglob("*.yaml"))


def test_without_ray_it_says_how_to_get_it(kdsl, project, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = kdsl("mine", project, "--engine", "ray")
    assert result.code == 2
    assert result.err == f"error: --engine ray needs Ray, which is not installed: {install_command('ray')}\n"


def test_the_address_of_a_cluster_is_for_ray(kdsl, project):
    before = files(project)
    result = kdsl("mine", project, "--address", "ray://head:10001")
    assert (result.code, result.err) == (2, "error: --address is that of a Ray cluster; give --engine ray too\n")
    assert files(project) == before
