"""The versions that stand beside a decision: others with what decides, the same wherever that lies."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kdsl.arbiter.state import PredictorState, RuleState
from kdsl.project.project import Project
from kdsl.project.versions import versions_of

RULE = RuleState("退款", "a1", "accepted", False)
STATE = PredictorState({"shop": "0a", "desk": "0b"}, None, {"shop": {"r-1": RULE}, "desk": {}})
KEYS = ["rules", "checkpoint", "config"]


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/task.yaml").write_text("name: shop\nlabels:\n  - {name: 退款}\n  - {name: 换货}\n", "utf-8")
    (tmp_path / "here/kdsl.yaml").write_text("tasks: [task.yaml]\ndata: {train: a.json}\nseed: 1\n", "utf-8")
    return tmp_path / "here"


def changed(folder: Path, *overrides: str, state: PredictorState = STATE) -> list[str]:
    """Which versions are others than those of the project as it stands, and of STATE."""
    before = versions_of(Project.open(folder), STATE)
    after = versions_of(Project.open(folder, overrides), state)
    return [key for key in KEYS if before[key] != after[key]]


def test_each_is_of_12_hexadecimal_digits(folder):
    versions = versions_of(Project.open(folder), STATE)
    assert list(versions) == KEYS
    assert all(re.fullmatch("[0-9a-f]{12}", version) for version in versions.values())
    assert len(set(versions.values())) == 3


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ({"shop": {"r-1": RULE}}, []),
        ({"desk": {}, "shop": {"r-1": RULE, "r-2": RuleState("退款", "b", "rejected", False)}}, []),
        ({"shop": {"r-1": replace(RULE, when="a2")}, "desk": {}}, ["rules"]),
        ({"shop": {"r-1": replace(RULE, label="换货")}, "desk": {}}, ["rules"]),
        ({"shop": {"r-1": replace(RULE, status="proposed")}, "desk": {}}, ["rules"]),
        ({"shop": {"r-1": replace(RULE, stale=True)}, "desk": {}}, ["rules"]),
        ({"shop": {"r-1": replace(RULE, status="disabled")}, "desk": {}}, ["rules"]),
        ({"shop": {"r-2": RULE}, "desk": {}}, ["rules"]),
        ({"shop": {}, "desk": {"r-1": RULE}}, ["rules"]),
    ],
)
def test_rules_have_another_version_with_every_rule_that_counts(folder, rules, changes):
    assert changed(folder, state=replace(STATE, rules={"shop": {}, "desk": {}} | rules)) == changes


def test_the_order_of_rules_and_tasks_is_no_matter(folder):
    one, two = {"r-1": RULE, "r-2": RULE}, {"r-2": RULE, "r-1": RULE}
    states = [replace(STATE, rules={"shop": rules, "desk": rules}) for rules in (one, two)]
    turned = replace(states[1], rules=dict(reversed(states[1].rules.items())), trained={"desk": "0b", "shop": "0a"})
    project = Project.open(folder)
    assert versions_of(project, states[0]) == versions_of(project, turned)


def test_a_checkpoint_has_another_version_with_what_was_trained_or_recorded(folder):
    assert changed(folder, state=replace(STATE, trained=STATE.trained | {"shop": "0c"})) == ["checkpoint"]
    assert changed(folder, state=replace(STATE, recorded="0d")) == ["checkpoint"]


@pytest.mark.parametrize(
    "override",
    ["seed=2", "encoder=use", "large=neighbours", "mining.iterations=7", "abstain={error: 0.1}",
     "fields.visual=false", "data.labels={a: 退款}", "data.images=images", "data.train="],
)  # fmt: skip
def test_a_setting_in_force_makes_another_configuration(folder, override):
    assert changed(folder, override) == ["config"]


@pytest.mark.parametrize(
    "override",
    ["seed=1", "data.train=elsewhere.json", "rules=/srv/rules", "checkpoint=/srv/checkpoint", "serve.texts=true",
     "serve.log=/var/log/kdsl"],
)  # fmt: skip
def test_where_files_lie_and_how_the_service_runs_does_not(folder, override):
    assert changed(folder, override) == []


def test_a_task_file_of_another_name_is_the_same_configuration(folder):
    shutil.copy(folder / "task.yaml", folder / "other.yaml")
    assert changed(folder, f"tasks=[{folder}/other.yaml]") == []


def test_a_release_that_may_decide_otherwise_is_another_configuration(folder, monkeypatch):
    before = versions_of(Project.open(folder), STATE)
    monkeypatch.setattr("kdsl.project.versions.RESULTS_VERSION", "0.0")
    after = versions_of(Project.open(folder), STATE)
    assert [key for key in KEYS if before[key] != after[key]] == ["config"]


def test_a_task_that_its_file_describes_otherwise_is_another_configuration(folder):
    before = versions_of(Project.open(folder), STATE)
    with (folder / "task.yaml").open("a", encoding="utf-8") as file:
        file.write("  - {name: 发票}\n")
    after = versions_of(Project.open(folder), STATE)
    assert [key for key in KEYS if before[key] != after[key]] == ["config"]


def test_answers_that_were_recorded_count_by_what_they_are(folder):
    one, two = (Project.open(folder, [f"large=recorded:{name}"]) for name in ("a.jsonl", "b/c.jsonl"))
    assert versions_of(one, STATE) == versions_of(two, STATE) != versions_of(Project.open(folder), STATE)


@pytest.mark.parametrize("key", ["large", "small", "encoder"])
def test_a_model_counts_by_its_weights(folder, tmp_path, key):
    for name in ("m", "n", "o"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"3" if name == "o" else b"1")
    m, n, o = (versions_of(Project.open(folder, [f"{key}={tmp_path / name}"]), STATE) for name in "mno")
    assert m == n != o
    hub = versions_of(Project.open(folder, [f"{key}=Qwen/Qwen2-VL-7B-Instruct"]), STATE)
    assert hub["config"] not in (m["config"], o["config"])


def test_an_embedded_part_is_not_taken_for_a_folder_of_its_name(folder, tmp_path, monkeypatch):
    before = versions_of(Project.open(folder), STATE)
    (tmp_path / "linear").mkdir()
    monkeypatch.chdir(tmp_path)
    assert versions_of(Project.open(folder), STATE) == before


def test_the_same_content_has_the_same_versions_in_any_folder(folder, tmp_path, monkeypatch):
    before = versions_of(Project.open(folder), STATE)
    shutil.copytree(folder, tmp_path / "elsewhere/there")
    assert versions_of(Project.open(tmp_path / "elsewhere/there"), STATE) == before
    monkeypatch.chdir(folder)
    assert versions_of(Project.open(), STATE) == before


def test_versions_of_known_content_are_known(folder):
    """On any machine: what one of them calls by a version another one finds by it."""
    versions = versions_of(Project.open(folder), STATE)
    assert (versions["rules"], versions["checkpoint"]) == ("3403aab512bc", "0540985f8298")
