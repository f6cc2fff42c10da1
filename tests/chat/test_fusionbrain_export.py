"""`kdsl export-fusionbrain` writes all that is handed in, whole or not at all, and nothing anywhere else."""

import re
import signal
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_projection
import tiny_qwen2vl
from interrupted import run_interrupted

from kdsl.chat.fusionbrain.contestant import Contestant
from kdsl.chat.fusionbrain.image import needed, pins
from kdsl.chat.fusionbrain.settings import Settings, read_settings, settings_text
from kdsl.config_parts import PixelsConfig, TrainingConfig
from kdsl.distribution import requirements
from kdsl.errors import KdslError
from kdsl.training.dialogues import TaughtDialogue
from kdsl.training.examples import Example
from kdsl.training.projecting import ProjectionRecipe, train_projection
from kdsl.vlm.encoder import Encoder
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.projection import ProjectionCard

CONTRACT = ("numpy", "jsonlines", "huggingface_hub")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights, and a file of a tool beside them."""
    folder = tiny_qwen2vl.build(tmp_path_factory.mktemp("tiny") / "model")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "secret").touch()
    return folder


@pytest.fixture
def project(tmp_path: Path, model: Path) -> Callable[..., Path]:
    """project(text): a kdsl.yaml with that model and more lines."""

    def project(extra: str = "", large: object = model) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        config = f"tasks: [mire_intent]\nlarge: {large}\npixels: {{min: 784, max: 3136}}\n"
        (folder / "kdsl.yaml").write_text(config + extra, "utf-8")
        return folder

    return project


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_all_that_is_handed_in_is_there(kdsl, project, model, tmp_path):
    before = files(tmp_path)
    done = kdsl("export-fusionbrain", tmp_path / "out", project())
    assert (done.code, done.out, done.err) == (0, f"{tmp_path / 'out'}\n", "")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "team_code", "team_code.zip", "Dockerfile", "requirements.txt", "constraints.txt"
    }  # fmt: skip
    written = files(out / "team_code")
    assert {"__init__.py", "generate.py", "settings.yaml", "packages/kdsl/chat/fusionbrain/contestant.py"} <= written
    assert {f"weights/model/{name}" for name in files(model) if not name.startswith(".")} <= written
    assert not [name for name in written if ".cache" in name or "__pycache__" in name or "/demo/" in name]
    assert files(tmp_path) - before == {"project/kdsl.yaml", *(f"out/{name}" for name in files(out))}
    original = (model / "model.safetensors").read_bytes()
    assert (out / "team_code" / "weights" / "model" / "model.safetensors").read_bytes() == original


def test_the_archive_holds_the_code_at_its_top(kdsl, project, tmp_path):
    kdsl("export-fusionbrain", tmp_path / "out", project())
    with ZipFile(tmp_path / "out" / "team_code.zip") as archive:
        assert archive.testzip() is None
        entries = {entry.filename: entry for entry in archive.infolist()}
    assert set(entries) == {f"team_code/{name}" for name in files(tmp_path / "out" / "team_code")}
    assert entries["team_code/weights/model/model.safetensors"].compress_type == ZIP_STORED
    assert entries["team_code/generate.py"].compress_type == ZIP_DEFLATED


def test_weights_may_be_left_to_be_mounted(kdsl, project, tmp_path):
    assert kdsl("export-fusionbrain", tmp_path / "out", project(), "--weights", "mount").code == 0
    assert not (tmp_path / "out" / "team_code" / "weights").exists()
    settings = read_settings(tmp_path / "out" / "team_code" / "settings.yaml")
    assert settings.model == tmp_path / "out" / "team_code" / "weights" / "model"


def test_settings_are_those_of_the_project(kdsl, project, tmp_path):
    extra = "chat: {system: \"Be brief: 'yes'\", max_new_tokens: 9, max_tokens: 700}\n"
    kdsl("export-fusionbrain", tmp_path / "out", project(extra))
    path = tmp_path / "out" / "team_code" / "settings.yaml"
    settings = read_settings(path)
    assert settings.pixels == PixelsConfig(min=784, max=3136)
    found = settings.system, settings.max_new_tokens, settings.max_tokens, settings.speech, settings.adapter
    assert found == ("Be brief: 'yes'", 9, 700, "pocketsphinx", None)
    assert settings.hours < 3.5
    for limit in ("A100", "243 GB", "16 cores", "3.5 hours", "no network"):
        assert limit in path.read_text("utf-8")


def test_settings_are_read_as_they_were_written(tmp_path):
    values = {
        "adapter": Path("weights/adapter"),
        "speech": Path("weights/speech"),
        "system": "a\n# b: “c”",
        "hours": 2.25,
    }
    values |= {"questions": 7, "longest": 5.5, "sound_seconds": 12.5, "perplexity_base": 2, "max_tokens": 99}
    settings = Settings(model=Path("weights/model"), pixels=PixelsConfig(min=784, max=999), max_new_tokens=3, **values)
    (tmp_path / "settings.yaml").write_text(settings_text(settings), "utf-8")
    found = read_settings(tmp_path / "settings.yaml")
    places = {"model": tmp_path / "weights/model", "adapter": tmp_path / "weights/adapter"}
    places["speech"] = tmp_path / "weights/speech"
    assert found == settings.model_copy(update=places)


def test_a_mistake_in_the_settings_is_told_with_its_line(tmp_path):
    (tmp_path / "settings.yaml").write_text("model: weights/model\nperplexity_base: 10\n", "utf-8")
    with pytest.raises(KdslError, match=r"settings\.yaml, line 2: perplexity_base"):
        read_settings(tmp_path / "settings.yaml")


def test_an_adapter_goes_along_with_its_base(kdsl, project, model, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2VLForConditionalGeneration

    base = Qwen2VLForConditionalGeneration.from_pretrained(model)
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"]))
    tuned.peft_config["default"].base_model_name_or_path = str(model)
    tuned.save_pretrained(tmp_path / "adapter")
    done = kdsl("export-fusionbrain", tmp_path / "out", project(large=tmp_path / "adapter"))
    assert done.code == 0, done.err
    path = tmp_path / "out" / "team_code" / "settings.yaml"
    assert Contestant.load(path).perplexity(([{"type": "text", "content": "?"}], "是"), None).value > 1
    settings = read_settings(path)
    assert settings.adapter is not None and (settings.adapter / "adapter_model.safetensors").is_file()
    assert (settings.model / "model.safetensors").is_file()


def test_a_projection_goes_along_with_its_encoder_whatever_their_names(kdsl, project, tmp_path):
    words, ears = tiny_projection.write_language_model(tmp_path / "words"), tmp_path / "ears"
    tiny_projection.write_encoder(ears)
    trained = tmp_path / "project" / "checkpoints" / "run" / "projection"
    tones = tiny_projection.write_tones(tmp_path / "tones", 8)
    lessons = [TaughtDialogue(path.stem, (Example("", tiny_projection.asked(path), name),)) for path, name in tones]
    path, name = tones[0]
    training = TrainingConfig(epochs=1, batch=4, at_once=4)
    recipe = ProjectionRecipe(str(words), 2, PixelBudget(), 512, training, seed=0, device="cpu")
    train_projection(recipe, lessons, Encoder(str(ears), "cpu"), trained)
    card = ProjectionCard.load(trained)
    card.model_copy(update={"model_weights": "hub/words", "encoder_weights": "hub/ears"}).save(trained)

    large = f"{{model: {words}, projection: {{encoder: {ears}, tokens: 2}}}}"
    done = kdsl("export-fusionbrain", tmp_path / "out", project(large=large))
    assert done.code == 0, done.err
    contestant = Contestant.load(tmp_path / "out" / "team_code" / "settings.yaml")
    assert contestant.perplexity(([{"type": "audio", "content": str(path)}], name), None).value > 1
    for written in (tmp_path / "out" / "team_code" / "weights" / "projection").iterdir():
        assert str(tmp_path).encode() not in written.read_bytes()


def test_a_projection_that_was_not_trained_is_told(kdsl, project, model, tmp_path):
    ears = tiny_projection.write_encoder(tmp_path / "ears")
    done = kdsl(
        "export-fusionbrain", tmp_path / "out", project(large=f"{{model: {model}, projection: {{encoder: {ears}}}}}")
    )
    assert done.code == 2 and "holds no projection (projection.json is missing); run `kdsl train` first" in done.err


def test_check_asks_the_export_itself(kdsl, project, tmp_path):
    done = kdsl("export-fusionbrain", tmp_path / "out", project("chat: {max_new_tokens: 4}\n"), "--check")
    assert done.code == 0, done.err
    [_, first, second, scored] = done.out.splitlines()
    assert first.startswith("generate_text: '") and second.startswith("generate_text: '")
    assert 1 < float(scored.removeprefix("get_ppl: '").removesuffix("'")) < 1e6
    assert not [name for name in files(tmp_path / "out") if name.endswith(".pyc")]


def test_check_finds_that_there_are_no_weights(kdsl, project, tmp_path):
    done = kdsl("export-fusionbrain", tmp_path / "out", project(), "--weights", "mount", "--check")
    assert done.code == 1
    problem = "no model is loaded; stderr says why"
    assert done.out.splitlines()[1:] == [
        f"{name}: {problem}" for name in ("generate_text", "generate_text", "get_ppl")
    ]


@pytest.mark.parametrize("there", ["file", "folder with a file"])
def test_what_is_there_is_not_touched(kdsl, project, tmp_path, there):
    out = tmp_path / "out"
    kept = out if there == "file" else out / "notes.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine", "utf-8")
    done = kdsl("export-fusionbrain", out, project())
    assert done.err == f"error: {out}: is there and not empty; name a folder that is new or empty\n"
    assert (
        done.code == 2
        and kept.read_text("utf-8") == "mine"
        and files(tmp_path) >= {kept.relative_to(tmp_path).as_posix()}
    )
    assert not [name for name in files(tmp_path) if "generate.py" in name]


def test_an_empty_folder_is_taken(kdsl, project, tmp_path):
    (tmp_path / "out").mkdir()
    assert kdsl("export-fusionbrain", tmp_path / "out", project()).code == 0
    assert (tmp_path / "out" / "team_code.zip").is_file()


@pytest.mark.parametrize(
    ("large", "said"),
    [
        ("linear", "large: linear answers no dialogues; name a model's directory"),
        ("http://127.0.0.1:9/v1", "is a server, but the export runs without a network; name a model's directory"),
        ("none/such", "none/such: is not on this machine"),
        ("./none", "none: no such model directory"),
    ],
)
def test_only_a_model_that_is_here_can_be_exported(kdsl, project, tmp_path, monkeypatch, large, said):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    done = kdsl("export-fusionbrain", tmp_path / "out", project(large=large))
    assert done.code == 2 and done.err.count("\n") == 1 and said in done.err
    assert not (tmp_path / "out").exists()


def test_a_server_that_writes_sounds_down_cannot_be_exported(kdsl, project, tmp_path):
    done = kdsl("export-fusionbrain", tmp_path / "out", project("speech: http://127.0.0.1:9/v1\n"))
    assert done.code == 2 and "http://127.0.0.1:9/v1: is a server, but the export runs without a network" in done.err


def test_ctrl_c_leaves_nothing_but_the_folder_that_was_there(project, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    pattern = "**/settings.yaml"
    done = run_interrupted(signal.SIGINT, out, pattern, 1, "export-fusionbrain", out, project())
    assert done.returncode == 130, done.stderr
    assert out.exists() and files(tmp_path) == {"project/kdsl.yaml"}


def test_what_was_killed_does_not_look_whole(kdsl, project, tmp_path):
    out = tmp_path / "out"
    done = run_interrupted(signal.SIGKILL, out, "**/requirements.txt", 1, "export-fusionbrain", out, project())
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in out.iterdir()] == [".unfinished"]
    assert "is there and not empty" in kdsl("export-fusionbrain", out, project()).err


def test_where_nothing_can_be_written_it_is_told(kdsl, project, tmp_path):
    (tmp_path / "file").touch()
    done = kdsl("export-fusionbrain", tmp_path / "file" / "out", project())
    assert done.code == 2 and "file/out: cannot be written (Not a directory)" in done.err


def test_a_full_disk_is_told_and_leaves_nothing(kdsl, project, tmp_path, monkeypatch):
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kdsl.chat.fusionbrain.export.ZipFile", full)
    done = kdsl("export-fusionbrain", tmp_path / "out", project())
    assert done.code == 2 and "out: cannot be written (No space left on device); free some space" in done.err
    assert not (tmp_path / "out").exists()


def test_the_image_has_what_the_contract_asks_for(kdsl, project, tmp_path):
    kdsl("export-fusionbrain", tmp_path / "out", project())
    image = (tmp_path / "out" / "Dockerfile").read_text("utf-8")
    assert re.search(r"^FROM python:3\.\d+-slim$", image, re.MULTILINE) and "://" not in image
    assert "requirements.txt -c /tmp/constraints.txt" in image and "HF_HUB_OFFLINE=1" in image
    needs = (tmp_path / "out" / "requirements.txt").read_text("utf-8").splitlines()
    names = [re.split(r"[^\w.-]", need)[0].lower().replace("-", "_") for need in needs]
    assert {*CONTRACT, "torch", "transformers", "pydantic"} <= set(names) and len(names) == len(set(names))
    assert {*requirements(), *requirements("vlm"), *requirements("voice")} <= set(needs)
    pinned = dict(line.split("==") for line in (tmp_path / "out" / "constraints.txt").read_text("utf-8").splitlines())
    for name in ("numpy", "torch", "transformers", "tokenizers", "huggingface-hub"):
        assert pinned[name] == version(name).partition("+")[0]
    assert "pytest" not in pinned


def test_of_what_is_not_installed_there_is_no_pin():
    assert pins(["numpy>=2", "no-such-package>=1"]) == [f"numpy=={version('numpy')}"]


def test_where_kdsl_is_not_installed_its_needs_are_not_known(monkeypatch):
    monkeypatch.setattr("kdsl.chat.fusionbrain.image.requirements", lambda extra=None: [])
    with pytest.raises(KdslError, match="is not installed, only imported"):
        needed()
