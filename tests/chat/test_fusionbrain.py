"""An export answers whatever a runner of the challenge asks, by either convention, and raises nothing.

tests/chat/stand_in_run.py asks, in a clean process that knows nothing but the exported folder.
"""

import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import tiny_qwen2vl

from kdsl.chat.fusionbrain.team_code.generate import HIGH_PERPLEXITY, SHORT_ANSWER
from kdsl.project.fusionbrain import export_fusionbrain
from kdsl.project.project import Project

RUNNER = Path(__file__).with_name("stand_in_run.py")
CONVENTIONS = ("documents", "running", "pickled")
NAMES = ("history", "history_tensor")
"""Of the last parameter, where it is given by its name."""
RED, COLOUR, BAR = "images/red.png", "图中有红色吗？", "图中有黑条吗？"


def text(content: str) -> dict:
    return {"type": "text", "content": content}


def image(content: str) -> dict:
    return {"type": "image", "content": content}


def audio(content: str) -> dict:
    return {"type": "audio", "content": content}


DIALOGUES = {
    "shown": [([image(RED), text(COLOUR)], "是"), ([text("描述图片。")], "红色页面")],
    "wrong answer": [([image(RED), text(COLOUR)], "否")],
    "by its name alone": [([image("red.png"), text(COLOUR)], "是")],
    "missing": [([image("images/none.png"), audio("none.wav"), text(COLOUR)], "是")],
    "broken": [([image("broken.png"), audio("audios/broken.mp3"), text(COLOUR)], "是"), ([text(BAR)], "否")],
    "empty": [([image("empty.png"), audio("empty.wav"), text(COLOUR)], "是")],
    "eight pictures": [([*(image(f"page{i}.jpg") for i in range(8)), text(COLOUR)], "是"), ([text(BAR)], "否")],
    "half an hour": [([audio("long.wav"), text(COLOUR)], "是"), ([text(BAR)], "否")],
    "the question comes next": [([image(RED)], ""), ([text(COLOUR)], "是")],
    "nothing": [([], "是"), (None, "是"), ([None, 5, {}, [], {"type": "text"}, {"content": "a"}], "是")],
    "other types": [("图中", "是"), ({"type": "text", "content": COLOUR}, "是"), (7, "是"), ([text(COLOUR)], 7)],
    "odd": [([text("\ud83d<|im_end|>"), image("\0"), image("../" * 40), {"type": ["text"], "content": []}], "是")],
    "long": [([text("退换" * 9000)], "是" * 2000), ([text(COLOUR)], "是")],
}


JOBS = [*((convention, dialogue) for convention in CONVENTIONS for dialogue in DIALOGUES)]
JOBS += [(name, "shown") for name in NAMES]


@dataclass(frozen=True)
class Ran:
    """What the runner wrote, and what the functions told on stderr."""

    results: list
    kdsl: str | None
    told: str


def run(export: Path, folder: Path, jobs: list[tuple[str, list]]) -> Ran:
    """Run the stand-in in `folder`."""
    job, result = folder / "job.json", folder / "result.json"
    job.write_text(json.dumps([{"convention": name, "dialogue": each} for name, each in jobs]), "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HF_"))}
    command = [sys.executable, "-I", "-B", RUNNER, export, job, result]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(result.read_text("utf-8"))
    return Ran(found["results"], found["kdsl"], done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runner runs: images/ and audios/ with files that can be used, and with others."""
    folder = tmp_path_factory.mktemp("challenge")
    (folder / "audios").mkdir()
    tiny_qwen2vl.draw_page(folder / RED, "红", False)
    for number in range(8):
        tiny_qwen2vl.draw_page(folder / "images" / f"page{number}.jpg", "蓝", True, number)
    for name in ("images/empty.png", "audios/empty.wav"):
        (folder / name).touch()
    for name in ("images/broken.png", "audios/broken.mp3"):
        (folder / name).write_bytes(b"nothing of the kind" * 50)
    second = bytes(128 + 60 * (i // 8 % 2) for i in range(8000))
    with wave.open(str(folder / "audios/long.wav"), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(second * 30 * 60)
    return folder


@pytest.fixture(scope="module")
def export(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_export(tmp_path_factory.mktemp("export"), tiny_model)


def make_export(folder: Path, model: Path, extra: str = "") -> Path:
    """An export of the model, without the project that it was made from."""
    config = f"tasks: [mire_intent]\nlarge: {model}\npixels: {{min: 784, max: 3136}}\nchat: {{max_new_tokens: 8}}\n"
    (folder / "kdsl.yaml").write_text(config + extra, "utf-8")
    export_fusionbrain(Project.open(folder / "kdsl.yaml"), folder / "out", copies=True)
    (folder / "kdsl.yaml").unlink()
    return folder / "out"


@pytest.fixture(scope="module")
def ran(export: Path, folder: Path) -> Ran:
    return run(export, folder, [(convention, DIALOGUES[dialogue]) for convention, dialogue in JOBS])


@pytest.fixture
def of(ran: Ran) -> Callable[[str, str], list[dict]]:
    """of(convention, dialogue): what was returned in each round."""
    return lambda *job: dict(zip(JOBS, ran.results, strict=True))[job]


@pytest.mark.parametrize(("convention", "dialogue"), JOBS)
def test_every_round_has_an_answer_and_a_perplexity(of, convention, dialogue):
    rounds = of(convention, dialogue)
    assert isinstance(rounds, list), rounds
    assert len(rounds) == len(DIALOGUES[dialogue])
    for each in rounds:
        assert each["answer"].strip()
        assert 1 <= each["perplexity"] <= HIGH_PERPLEXITY


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_model_sees_the_picture(of, convention):
    shown, named, wrong = (of(convention, name)[0] for name in ("shown", "by its name alone", "wrong answer"))
    assert shown["answer"] == named["answer"] == "是"
    assert shown["perplexity"] == named["perplexity"] < 1.5 < wrong["perplexity"] < HIGH_PERPLEXITY


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_what_is_asked_counts_and_not_how(of, dialogue):
    """The first rounds are alike; later ones follow the right answer, which is what the conventions differ in."""
    documents, running, pickled = (of(convention, dialogue) for convention in CONVENTIONS)
    assert documents[0]["answer"] == running[0]["answer"]
    assert documents[0]["perplexity"] == pytest.approx(running[0]["perplexity"])
    assert running == pickled


@pytest.mark.parametrize("name", NAMES)
def test_the_history_may_have_another_name(of, name):
    assert of(name, "shown") == of("running", "shown")


def test_a_history_holds_what_was_asked_and_what_the_runner_says_was_answered(of):
    first, second = of("running", "shown")
    asked = {"role": "user", "content": [image(RED), text(COLOUR)]}
    assert first["history"] == first["scored"] == [asked]
    follow_up = {"role": "user", "content": [text("描述图片。")]}
    assert second["history"] == [asked, {"role": "agent", "content": [text("是")]}, follow_up]


@pytest.mark.parametrize("dialogue", ["missing", "eight pictures", "half an hour", "long"])
def test_an_answer_is_the_models_whatever_the_files_are(of, dialogue):
    assert SHORT_ANSWER not in [each["answer"] for each in of("running", dialogue)]


def test_an_answer_is_a_text_for_who_wants_one(of):
    [found, _] = of("documents", "shown")
    assert (found["answer"], found["length"], found["words"]) == ("是", 1, ["是"])


def test_kdsl_comes_from_the_export(ran, export):
    assert Path(ran.kdsl).is_relative_to(export / "team_code" / "packages")


def test_what_is_left_out_is_told(ran):
    for name in ("images/none.png", "none.wav", "broken.png", "audios/broken.mp3", "empty.png", "empty.wav"):
        assert name in ran.told


DAMAGES = {
    "weights/model/model.safetensors": "header too small",
    "weights/model/tokenizer.json": "cannot be loaded",
    "settings.yaml": "settings.yaml",
}
"""A file of team_code that is damaged → what is told on stderr."""


@pytest.mark.parametrize("damaged", DAMAGES)
def test_without_a_model_answers_are_short_and_perplexities_high(tiny_model, folder, tmp_path, damaged):
    broken = make_export(tmp_path, tiny_model)
    (broken / "team_code" / damaged).write_bytes(b"{")
    found = run(broken, folder, [(convention, DIALOGUES["shown"]) for convention in CONVENTIONS])
    for rounds in found.results:
        assert [each["answer"] for each in rounds] == [SHORT_ANSWER] * 2
        assert [each["perplexity"] for each in rounds] == [HIGH_PERPLEXITY] * 2
    assert DAMAGES[damaged] in found.told


def test_without_kdsl_too(tiny_model, folder, tmp_path):
    """As where the image lacks what KDSL needs."""
    broken = make_export(tmp_path, tiny_model)
    (broken / "team_code" / "packages" / "kdsl" / "__init__.py").write_text("raise ImportError('no numpy')")
    [rounds] = run(broken, folder, [("running", DIALOGUES["shown"])]).results
    assert [each["answer"] for each in rounds] == [SHORT_ANSWER] * 2
