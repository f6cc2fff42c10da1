"""Images and sounds over shards: the lines that commands write to sidecars, each image of a shard once."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_shop import read, write
from sounds import needs_voice, save_wav, silence, tone

from kdsl.audio.transcript import read_transcripts
from kdsl.distributed.results import Results
from kdsl.distributed.running import Outcome, in_processes, run_over_shards
from kdsl.distributed.steps.caption import Caption
from kdsl.distributed.steps.ocr import Ocr
from kdsl.distributed.steps.questions import Questions
from kdsl.distributed.steps.transcribe import Transcribe
from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError
from kdsl.fields.pages import PageFiller
from kdsl.fields.sidecar import read_captions, read_ocr
from kdsl.fields.vqa import read_probabilities
from kdsl.project.project import Project
from kdsl.project.small import ask_questions, caption_images
from kdsl.result_shards import records_at

RAPIDOCR = """
from types import SimpleNamespace

class RapidOCR:
    def __init__(self, params): ...

    def __call__(self, pixels):
        height, width, _ = pixels.shape
        boxes = [[[10, 10], [40, 10], [40, 20], [10, 20]]] if pixels[0, 0, 0] else None
        return SimpleNamespace(boxes=boxes, txts=(f"{width}x{height}",), scores=(0.98765,))
"""
RULE = """id: r-7f3k2m9q
label: a
status: accepted
when: {all: [{sees: "Is it blue?"}]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose training samples show a blue page, a black one and a file that is no image, some twice."""
    folder = tmp_path / "project"
    for name, size, colour in (("blue.png", (60, 40), "blue"), ("black.png", (50, 50), "black")):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(folder / "images" / name)
    (folder / "images" / "text.png").write_text("no image")
    (folder / "task.yaml").write_text("name: t\nlabels: [{name: a}, {name: b}]\n")
    (folder / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: d.jsonl, images: images, ocr: ocr.jsonl, captions: c.jsonl, "
        "questions: q.jsonl, audio: sounds, transcripts: t.jsonl}\n"
    )
    show(folder, "images", "blue.png", "black.png", "blue.png", "text.png")
    return folder


def show(folder: Path, key: str, *names: str) -> None:
    """A sample for each name, in the training file and in two shards of which both have the first."""
    some = [
        {"id": str(n), "turns": [{"role": "user", "text": "see", key: [name]}], "label": "ab"[n % 2]}
        for n, name in enumerate(names)
    ]
    write(folder / "d.jsonl", some)
    (folder.parent / "in").mkdir(exist_ok=True)
    write(folder.parent / "in" / "a.jsonl", some)
    write(folder.parent / "in" / "b.jsonl", some[:1])


def run(project: Project, step: object, folder: Path) -> Outcome:
    return run_over_shards(project, step, str(folder / "in"), str(folder / "out"), in_processes(1))


def told(folder: Path, shard: str = "") -> list[dict]:
    return [record for _, record in records_at(folder / "out" / shard)]


def errors(folder: Path) -> list[tuple[str, str]]:
    found = Results(Storage(str(folder / "out"))).errors()
    return [] if found is None else [(row["id"], row["message"]) for row in found.to_pylist()]


@pytest.fixture
def rapidocr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that worker processes import instead of the real one."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/rapidocr.py").write_text(RAPIDOCR, "utf-8")
    (tmp_path / "modules/onnxruntime.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(sys.modules, "rapidocr", raising=False)


def test_ocr_writes_what_the_command_writes(project, rapidocr, tmp_path):
    opened = Project.open(project)
    opened.ocr(1)
    outcome = run(opened, Ocr(), tmp_path)
    assert told(tmp_path, "a.parquet") == read(project / "ocr.jsonl")
    assert [page["image"] for page in told(tmp_path, "b.parquet")] == ["blue.png"]
    assert outcome.problems == 1
    [(sample, message)] = errors(tmp_path)
    assert sample == "3" and message.startswith("text.png: ")
    assert read_ocr(tmp_path / "out") == read_ocr(project / "ocr.jsonl")


@pytest.fixture
def server(shared_server):
    shared_server.become(answer="A page.", replies=[("blue", "yes")], lacks=("prompt_logprobs",), constraint=None)
    return shared_server


def test_captions_are_those_of_the_command(project, server, tmp_path):
    opened = Project.open(project, [f"small={server.url}"])
    caption_images(opened)
    assert run(opened, Caption(), tmp_path).problems == 1
    assert told(tmp_path, "a.parquet") == read(project / "c.jsonl")
    assert errors(tmp_path)[0][0] == "3"
    assert read_captions(tmp_path / "out") == dict.fromkeys(("blue.png", "black.png"), "A page.")


def test_an_image_that_the_model_says_nothing_of_is_a_problem(project, server, tmp_path):
    server.become(answer="", replies=[], lacks=("prompt_logprobs",))
    run(Project.open(project, [f"small={server.url}"]), Caption(), tmp_path)
    assert told(tmp_path) == []
    assert ("0", "blue.png: the model's answer is empty") in errors(tmp_path)


def test_answers_to_the_questions_of_rules_are_those_of_the_step_of_kdsl_run(project, server, tmp_path):
    rules = project / "rules" / "t"
    rules.mkdir(parents=True)
    (rules / "r-7f3k2m9q.yaml").write_text(RULE)
    show(project, "images", "blue.png", "black.png", "blue.png")
    opened = Project.open(project, [f"small={server.url}"])
    run(opened, Questions(), tmp_path)
    ask_questions(opened, opened.small)
    answers = [each for each in read(project / "q.jsonl") if "image" in each]
    assert told(tmp_path, "a.parquet") == answers
    assert [list(each["answers"]) for each in answers] == [["Is it blue?"]] * 2
    assert read_probabilities(tmp_path / "out").keys() == {"blue.png", "black.png"}


@pytest.mark.parametrize("step", [Caption(), Questions()])
def test_without_a_small_model_nothing_begins(project, tmp_path, step):
    with pytest.raises(KdslError, match="small: lexical looks at no image; name a model"):
        run(Project.open(project), step, tmp_path)
    assert not (tmp_path / "out").exists()


def test_without_a_question_nothing_begins(project, server, tmp_path):
    with pytest.raises(KdslError, match="no active rule asks a visual question"):
        run(Project.open(project, [f"small={server.url}"]), Questions(), tmp_path)


def test_transcripts_are_those_of_the_command(project, tmp_path):
    for package in needs_voice:
        pytest.importorskip(package)
    save_wav(project / "sounds/low.wav", tone(0.5, 300))
    save_wav(project / "sounds/silent.wav", silence(0.5))
    (project / "sounds/text.wav").write_text("where is my order?")
    show(project, "audio", "low.wav", "silent.wav", "text.wav")
    opened = Project.open(project)
    opened.transcribe(1)
    assert run(opened, Transcribe(), tmp_path).problems == 1
    assert told(tmp_path, "a.parquet") == read(project / "t.jsonl")
    assert errors(tmp_path)[0][0] == "2" and errors(tmp_path)[0][1].startswith("text.wav: ")
    assert read_transcripts(tmp_path / "out") == read_transcripts(project / "t.jsonl")


@pytest.mark.parametrize("step", [Ocr(), Transcribe()])
def test_without_a_folder_nothing_begins(project, rapidocr, tmp_path, step):
    for package in needs_voice:
        pytest.importorskip(package)
    key = "images" if isinstance(step, Ocr) else "audio"
    with pytest.raises(KdslError, match=rf"data\.{key} "):
        run(Project.open(project, [f"data.{key}={tmp_path}/nowhere"]), step, tmp_path)


def test_images_in_the_shards_are_read(project, rapidocr, tmp_path):
    for old in (tmp_path / "in").iterdir():
        old.unlink()
    content = (project / "images" / "blue.png").read_bytes()
    rows = [{"id": "a", "text": "see", "image": {"bytes": content, "path": None}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / "a.parquet")
    run(Project.open(project), Ocr(), tmp_path)
    [page] = told(tmp_path)
    assert page["original_size"] == [60, 40]
    assert (project / "images" / page["image"]).read_bytes() == content


def test_results_that_are_a_sidecar_are_only_read(project, rapidocr, tmp_path):
    opened = Project.open(project)
    run(opened, Ocr(), tmp_path)
    (tmp_path / "out" / "a.parquet").unlink()  # black.png is new now
    before = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    other = Project.open(project, [f"data.ocr={tmp_path / 'out'}"])
    sidecars = other.sidecars()
    assert set(sidecars.ocr) == {"blue.png"}
    pages = PageFiller(sidecars, other.config.data.images, other.config.data.ocr)
    pages.fill(other.samples())
    assert set(sidecars.ocr) == {"blue.png", "black.png"}
    with pytest.raises(KdslError, match=r"out: is a folder, such as of results over shards, which is only read"):
        other.ocr(1)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == before
