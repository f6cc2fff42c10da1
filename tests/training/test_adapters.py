"""One adapter for both tasks or one for each, and the seesaw between them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

from kdsl.errors import KdslError  # noqa: E402
from kdsl.training.seesaw import update_cosines  # noqa: E402


@pytest.fixture(scope="module")
def compared(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two tasks after `kdsl evaluate --seesaw`, which trains all adapters."""
    from tiny_project import write_two_tasks

    from kdsl.project.project import Project
    from kdsl.project.seesaw import compare_adapters, write_seesaw

    folder = write_two_tasks(tmp_path_factory.mktemp("two") / "project", tiny_model)
    write_seesaw(folder / "seesaw", compare_adapters(Project.open(folder)))
    return folder


def predictions(kdsl, project: Path, *options: str) -> dict[str, float]:
    """The share of labels that the model alone has right, by task."""
    from tiny_project import read

    output = project / "p.jsonl"
    output.unlink(missing_ok=True)
    result = kdsl("predict", project, "--input", project / "test.jsonl", "--output", output, *options)
    assert result.code == 0, result.err
    truth = {(record["task"], record["id"]): record["label"] for record in read(project / "test.jsonl")}
    right = {"shop": [], "wish": []}
    for record in read(output):
        right[record["task"]].append(record["model"]["label"] == truth[record["task"], record["id"]])
    return {task: float(np.mean(found)) for task, found in right.items()}


def test_every_adapter_is_scored_on_every_task(compared):
    found = json.loads((compared / "seesaw/seesaw.json").read_text("utf-8"))
    f1 = found["f1"]
    assert set(f1) == {"shop", "wish", "joint", "per task"}
    assert all(set(scores) == {"shop", "wish", "all"} for scores in f1.values())
    assert min(f1["shop"]["shop"], f1["wish"]["wish"], f1["joint"]["shop"], f1["joint"]["wish"]) >= 0.9
    assert f1["per task"] == {"shop": f1["shop"]["shop"], "wish": f1["wish"]["wish"], "all": f1["per task"]["all"]}
    assert f1["wish"]["shop"] < 0.5, "an adapter that never saw the other task has its colours wrong"
    [cosines] = found["cosines"]
    assert [layer["layer"] for layer in cosines["layers"]] == [0, 1]
    assert cosines["modules"] == ["q", "k", "v", "o", "gate", "up", "down"]
    assert all(-1 <= layer[name] <= 1 for layer in cosines["layers"] for name in ("all", *cosines["modules"]))
    assert (compared / "seesaw/seesaw.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_is_printed_and_nothing_is_trained_again(kdsl, compared, monkeypatch):
    import kdsl.training.fine_tuning as fine_tuning

    monkeypatch.setattr(fine_tuning, "trainable_model", None)
    result = kdsl("evaluate", compared, "--seesaw")
    assert result.code == 0, result.err
    for part in ("Weighted F1", "per task", "joint", "Cosine of the weight updates of shop and wish"):
        assert part in result.out


@pytest.mark.parametrize("adapters", ["joint", "per_task"])
def test_samples_are_predicted_by_the_adapter_of_their_task(kdsl, compared, tmp_path, adapters):
    project = Path(shutil.copytree(compared, tmp_path / "project"))
    assert kdsl("mine", project).code == 0
    result = kdsl("train", project, f"adapters={adapters}")
    assert result.code == 0, result.err
    records = [json.loads((project / f"checkpoints/run/{task}/large.json").read_text()) for task in ("shop", "wish")]
    expected = ["joint", "joint"] if adapters == "joint" else ["shop", "wish"]
    assert [record["tuned"] for record in records] == expected
    found = predictions(kdsl, project)
    assert min(found.values()) >= 0.9, found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("large=linear",), "--seesaw compares LoRA adapters, which `large: linear`"),
        (("training.method=full",), "`training.method: full` does not have"),
        (("tasks=[shop.yaml]",), "--seesaw compares tasks, but the project has one"),
        (("--cross-validate", 3), "leave --predictions, --truth and --cross-validate out"),
    ],
)
def test_what_cannot_be_compared_is_told(kdsl, compared, monkeypatch, options, message):
    monkeypatch.chdir(compared)
    result = kdsl("evaluate", "--seesaw", *options)
    assert (result.code, message in result.err) == (2, True), result.err


def save_factors(folder: Path, factors: dict[str, tuple[list, list]]) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    tensors = {}
    for name, (a, b) in factors.items():
        place = f"base_model.model.model.language_model.layers.{name}_proj"
        tensors |= {f"{place}.lora_A.weight": torch.tensor(a), f"{place}.lora_B.weight": torch.tensor(b)}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_cosines_are_those_of_the_full_updates(tmp_path):
    source = np.random.default_rng(0)

    def random() -> tuple[list, list]:
        return source.normal(size=(2, 5)).tolist(), source.normal(size=(4, 2)).tolist()

    factors = [{name: random() for name in ("0.self_attn.q", "0.mlp.up", "1.self_attn.q", "1.mlp.up")} for _ in "ab"]
    folders = [save_factors(tmp_path / name, each) for name, each in zip("ab", factors, strict=True)]
    found = update_cosines("a", "b", *folders)
    assert (found.layers, found.modules) == ((0, 1), ("q", "up"))
    updates = [{name: np.array(b) @ np.array(a) for name, (a, b) in each.items()} for each in factors]

    def cosine(names: list[str]) -> float:
        one, other = (np.concatenate([each[name].ravel() for name in names]) for each in updates)
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    assert found.values[1, 0] == pytest.approx(cosine(["1.self_attn.q"]), abs=1e-6)
    assert found.by_layer[0] == pytest.approx(cosine(["0.self_attn.q", "0.mlp.up"]), abs=1e-6)


def test_an_adapter_is_like_itself_and_unlike_its_opposite(tmp_path):
    one = save_factors(tmp_path / "one", {"0.mlp.up": ([[1.0, 2.0]], [[3.0], [4.0]])})
    opposite = save_factors(tmp_path / "opposite", {"0.mlp.up": ([[1.0, 2.0]], [[-3.0], [-4.0]])})
    unrelated = save_factors(tmp_path / "unrelated", {"0.mlp.up": ([[2.0, -1.0]], [[3.0], [4.0]])})
    other = save_factors(tmp_path / "other", {"1.mlp.up": ([[1.0, 2.0]], [[3.0], [4.0]])})
    for folder, expected in ((one, 1), (opposite, -1), (unrelated, 0)):
        assert update_cosines("a", "b", one, folder).values[0, 0] == pytest.approx(expected)
    with pytest.raises(KdslError, match="adapt different layers"):
        update_cosines("a", "b", one, other)
