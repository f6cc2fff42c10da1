"""kdsl predict on a text, images, stdin and several files, and what it needs for that."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_shop import read, write, write_project
from sounds import save_wav, tone
from tones import SPEECH, Tones

from kdsl.audio import transcribe
from kdsl.data.sample_file import SampleFile
from kdsl.project.prediction import predict_file
from kdsl.project.project import Project

SAID = "请问什么时候发货"


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Path:
    """A trained project with two tasks; tests take copies."""
    folder = write_project(tmp_path_factory.mktemp("shop") / "project")
    (folder / "other.yaml").write_text((folder / "task.yaml").read_text("utf-8").replace("shop", "other"), "utf-8")
    config = (folder / "kdsl.yaml").read_text("utf-8").replace("[task.yaml]", "[task.yaml, other.yaml]")
    (folder / "kdsl.yaml").write_text(config.replace("iterations: 60", "iterations: 20"), "utf-8")
    for name in ("train", "test"):
        records = read(folder / f"{name}.jsonl")
        write(folder / f"{name}.jsonl", [{**each, "task": task} for task in ("shop", "other") for each in records])
    project = Project.open(folder)
    project.mine(workers=1)
    project.train()
    return folder


@pytest.fixture
def project(shop, tmp_path) -> Path:
    return Path(shutil.copytree(shop, tmp_path / "project"))


def records(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def accept_a_rule(project: Path, task: str = "shop") -> None:
    path = next((project / "rules" / task).rglob("*.yaml"))
    path.write_text(path.read_text("utf-8").replace("status: proposed", "status: accepted"), "utf-8")


class TestOfATextAndImages:
    def test_a_text_is_shown_to_a_person_for_every_task(self, kdsl, project):
        result = kdsl("predict", project, "--text", SAID)
        assert result.code == 0
        for part in ("given  shop", "given  other", "0 user   请问什么时候", "物流 decided by the"):
            assert part in result.out

    def test_as_json_it_is_the_record_of_a_file(self, kdsl, project):
        [record] = records(kdsl("predict", project, "--text", SAID, "--task", "shop", "--format", "json").out)
        write(project / "one.jsonl", [{"id": "given", "task": "shop", "text": SAID}])
        assert records(kdsl("predict", project, "--input", project / "one.jsonl").out) == [record]
        assert (record["task"], record["label"]) == ("shop", "物流")

    def test_an_image_of_the_project_goes_by_its_name_there_and_any_other_by_its_path(self, kdsl, project, tmp_path):
        from PIL import Image

        (project / "images").mkdir()
        for path in (project / "images/page.png", tmp_path / "elsewhere.png"):
            Image.new("RGB", (30, 20), "white").save(path)
        page = {"image": "page.png", "size": [30, 20], "lines": [{"text": "快递", "score": 1, "box": [0, 0, 9, 9]}]}
        write(project / "ocr.jsonl", [page, {**page, "image": str(tmp_path / "elsewhere.png")}])
        out = kdsl(
            "predict", project, "--task", "shop", "--image", project / "images/page.png", "--image",
            tmp_path / "elsewhere.png",
        ).out  # fmt: skip
        assert "image page.png: 1 lines of text" in out
        assert f"image {tmp_path / 'elsewhere.png'}: 1 lines of text" in out

    def test_a_voice_message_is_transcribed_and_the_decision_tells_when_it_is_said(
        self, kdsl, project, tmp_path, monkeypatch
    ):
        """In a project that learned from typed texts alone."""
        pytest.importorskip("av")
        monkeypatch.setattr(transcribe, "load_recogniser", lambda *given: Tones({440.0: "快递发货"}))
        path = save_wav(tmp_path / "elsewhere/voice.wav", tone(2.0))
        before = sorted(project.rglob("*"))
        result = kdsl("predict", project, f"speech={SPEECH}", "--task", "shop", "--audio", path)
        assert (result.code, result.err) == (0, "")
        assert f"sound {path}, 0:02: 喂 【" in result.out
        assert f": 0:01 in {path}" in " ".join(result.out.split())
        [record] = records(
            kdsl(
                "predict", project, f"speech={SPEECH}", "--task", "shop", "--text", "在吗", "--audio", path,
                "--format", "json",
            ).out
        )  # fmt: skip
        assert record["label"] == "物流"
        [[evidence]] = [rule["evidence"] for rule in record["rules"] if rule["label"] == "物流"][:1]
        assert (evidence["turn"], evidence["audio"], evidence["seconds"]) == (0, str(path), [1.0, 1.5])
        assert sorted(project.rglob("*")) == before

    def test_a_sound_of_the_project_goes_by_its_name_there_and_what_is_known_of_it_is_used(self, kdsl, project):
        (project / "voices").mkdir()
        (project / "voices/a.wav").write_bytes(b"nobody has to listen to it")
        write(project / "t.jsonl", [{"file": "a.wav", "seconds": 1, "transcript": "快递呢"}])
        options = (f"data.audio={project / 'voices'}", f"data.transcripts={project / 't.jsonl'}", "--task", "shop")
        result = kdsl("predict", project, *options, "--audio", project / "voices/a.wav")
        assert "sound a.wav, 0:01: 【快递】呢" in result.out

    def test_what_cannot_be_predicted_is_one_sentence(self, kdsl, project):
        (project / "note.png").write_text("no image")
        for options, message in {
            ("--text", " "): "--text is empty; give the words to classify",
            ("--image", project / "no.png"): "no.png: no such file; give an image file, such as a PNG or a JPEG",
            ("--image", project / "note.png"): "note.png: cannot be looked at (cannot identify image file",
            ("--audio", project / "no.wav"): "--audio {}: no such file; give a sound, such as a WAV or an MP3",
            ("--audio", project / "note.png"): "--audio {}: is no sound that can be read (",
            ("--text", SAID, "--task", "shoes"): "--task shoes: the project has no such task; it has shop, other",
            ("--text", SAID, "checkpoint=elsewhere"): "arbiter.json: no such file; run `kdsl train` first",
            ("--text", SAID, "sed=1"): "sed",
        }.items():
            result = kdsl("predict", project, *options)
            assert (result.code, message.format(options[1]) in result.err, result.out) == (2, True, ""), result.err
            assert result.err.count("\n") == 1

    def test_without_a_project_it_says_where_one_is_looked_for(self, kdsl, tmp_path):
        result = kdsl("predict", tmp_path, "--text", SAID)
        assert (result.code, result.err.startswith(f"error: {tmp_path / 'kdsl.yaml'}: no such file")) == (2, True)


class TestIntoATable:
    def test_a_spreadsheet_has_the_samples_with_their_predictions_and_the_file_it_is_made_of_stays(
        self, kdsl, project
    ):
        command = ("predict", project, "--input", project / "test.jsonl", "--output", project / "p.csv")
        result = kdsl(*command)
        count = len(read(project / "test.jsonl"))
        assert (result.code, result.out.splitlines()) == (
            0, [f"{project / 'p.jsonl'}: {count} samples predicted, 0 were there",
                f"{project / 'p.csv'}: a table of {count} samples"],
        )  # fmt: skip
        rows = list(csv.DictReader(io.StringIO((project / "p.csv").read_text("utf-8-sig"))))
        made, asked = read(project / "p.jsonl"), read(project / "test.jsonl")
        assert [row["predicted"] for row in rows] == [each["label"] for each in made]
        assert [float(row["confidence"]) for row in rows] == [each["probabilities"][each["label"]] for each in made]
        assert [row["reason"].removeprefix("'") for row in rows] == [each["decision"]["reason"] for each in made]
        assert [row["task"] for row in rows] == [each["task"] for each in asked]
        again = kdsl(*command)
        assert f"0 samples predicted, {count} were there" in again.out

    def test_the_table_of_one_task_has_its_samples_only(self, kdsl, project):
        kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "p.csv", "--task", "shop")
        rows = list(csv.DictReader(io.StringIO((project / "p.csv").read_text("utf-8-sig"))))
        assert {row["task"] for row in rows} == {"shop"}

    def test_what_is_missing_for_it_is_told_before_anything_is_predicted(self, kdsl, project, monkeypatch):
        monkeypatch.setitem(sys.modules, "xlsxwriter", None)
        result = kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "p.xlsx")
        assert result.code == 2
        assert "to write Excel needs xlsxwriter: pip install " in result.err
        assert not (project / "p.jsonl").exists()


class TestOfFiles:
    def test_without_an_output_predictions_are_lines_of_json_on_stdout(self, kdsl, project):
        found = records(kdsl("predict", project, "--input", project / "test.jsonl").out)
        kdsl("predict", project, "--input", project / "test.jsonl", "--output", project / "p.jsonl")
        assert [{**each, "fingerprint": ""} for each in found] == [
            {**each, "fingerprint": ""} for each in read(project / "p.jsonl")
        ]

    def test_a_table_has_a_row_a_sample(self, kdsl, project):
        out = kdsl("predict", project, "--input", project / "test.jsonl", "--task", "shop", "--format", "table").out
        assert len(out.splitlines()) == 3 + 15
        assert all(" shop  " in line for line in out.splitlines()[3:])

    def test_stdin_and_a_file_are_one_input(self, kdsl, project, monkeypatch):
        text = json.dumps([{"id": "new", "task": "shop", "text": SAID}])
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        found = records(kdsl("predict", project, "--input", project / "test.jsonl", "--input", "-").out)
        assert len(found) == 31 and found[-1]["id"] == "new"

    def test_what_goes_together_is_checked_before_anything_is_read(self, kdsl, project):
        test, output = project / "test.jsonl", project / "p.jsonl"
        for options, message in {
            (): 'needs something to predict: --text "…", --image FILE, --audio FILE, or --input FILE',
            ("--text", SAID, "--input", test): "--text, --image and --audio give a sample, and so does --input",
            ("--text", SAID, "--output", output): "--output is for --input",
            ("--text", SAID, "--explain", "a"): "--explain is for --input",
            ("--input", test, "--output", output, "--again", "--append"): "leave one of them out",
            ("--input", test, "--again"): "--again needs --output FILE",
            ("--input", test, "--append"): "--append needs --output FILE",
            ("--input", test, "--output", output, "--format", "json"): "with --output nothing is; leave it out",
        }.items():
            result = kdsl("predict", project, *options)
            assert (result.code, message in result.err) == (2, True), result.err
        assert not output.exists()

    def test_after_a_decision_the_same_command_says_what_changed_and_goes_on_with_again(self, kdsl, project):
        command = ("predict", project, "--input", project / "test.jsonl", "--output", project / "p.jsonl")
        kdsl(*command)
        accept_a_rule(project)
        refused = kdsl(*command)
        assert refused.code == 2
        assert "p.jsonl: 1 rule was accepted since these predictions were made; predict everything" in refused.err
        assert "--again" in refused.err and "--append" in refused.err
        assert kdsl(*command, "--again").out == f"{project / 'p.jsonl'}: 30 samples predicted, 0 were there\n"
        assert kdsl(*command).out == f"{project / 'p.jsonl'}: 0 samples predicted, 30 were there\n"

    def test_an_output_grows_with_its_input(self, kdsl, project):
        command = ("predict", project, "--input", project / "test.jsonl", "--output", project / "p.jsonl")
        kdsl(*command)
        with (project / "test.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"id": "new", "task": "shop", "text": SAID}) + "\n")
        assert "1 sample was added to the input since" in kdsl(*command).err
        assert kdsl(*command, "--append").out == f"{project / 'p.jsonl'}: 1 samples predicted, 30 were there\n"

    def test_with_an_output_and_one_to_explain_stdout_holds_the_explained_one_alone(self, kdsl, project):
        command = ("predict", project, "--input", project / "test.jsonl", "--output", project / "p.jsonl")
        id = read(project / "test.jsonl")[0]["id"]
        result = kdsl(*command, "--explain", id, "--format", "json")
        assert [each["id"] for each in records(result.out)] == [id, id]
        assert result.err.endswith("p.jsonl: 30 samples predicted, 0 were there\n")

    def test_of_one_task_only_its_own_rules_and_training_count(self, project):
        opened, output = Project.open(project), project / "p.jsonl"
        files = [SampleFile(project / "test.jsonl")]
        predict_file(opened, files, output, tasks=opened.tasks[:1])
        accept_a_rule(project, "other")
        assert predict_file(opened, files, output, tasks=opened.tasks[:1]).outcome.predicted == 0


def test_one_text_imports_nothing_that_it_does_not_need(shop):
    """So that it costs a process under a second of processor time: scripts/bench predict."""
    code = f"""
import sys
sys.argv = ["kdsl", "predict", {str(shop)!r}, "--text", {SAID!r}]
from kdsl.cli import main
try: main()
finally: print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "decided by the" in done.stdout
    imported = {name.split(".")[0] for name in done.stderr.split()}
    heavy = {
        "sklearn",
        "torch",
        "transformers",
        "matplotlib",
        "pandas",
        "networkx",
        "PIL",
        "rjieba",
        "rapidocr",
        "httpx",
    }
    assert not heavy & imported
    assert not {"scipy.stats", "scipy.optimize", "kdsl.mining.search", "kdsl.project.large"} & set(done.stderr.split())
