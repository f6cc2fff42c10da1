"""kdsl fetch: images that samples name by address are fetched when that is asked for, and then used."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from kdsl.project.project import Project


@pytest.fixture
def address():
    """A server on this machine with /a.png, and nothing else."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, "PNG")

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            body = file.getvalue() if self.path == "/a.png" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def project(write, tmp_path, address):
    write("task.yaml", "name: t\nlabels: [{name: a}, {name: b}]\n")
    write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl, images: images}\n")
    records = [{"text": f"text {n}", "label": "ab"[n % 2], "images": [f"{address}/a.png"]} for n in range(4)]
    write("train.jsonl", "\n".join(map(json.dumps, records)))
    return tmp_path


def test_an_image_is_fetched_once_and_is_there_for_the_samples(kdsl, project, caplog):
    opened = Project.open(project)
    assert [sample.images for sample in opened.samples()] == [()] * 4
    assert "4 images left out that are addresses (`kdsl fetch` fetches them), the first in line 1" in caplog.text
    [finding] = [each for each in opened.check().findings if each.kind == "left-out-images"]
    assert (finding.split, finding.count) == ("train", 4)
    assert finding.examples == (
        "4 images left out that are addresses (`kdsl fetch` fetches them), the first in line 1",
    )
    cache = project / "images/.kdsl/fetched"
    caplog.clear()
    result = kdsl("fetch", project, "--host", "127.0.0.1")
    assert (result.code, result.out) == (0, f"{cache}: 1 images fetched, 0 were there\n")
    assert "left out" not in caplog.text
    [name] = {image for sample in opened.samples() for image in sample.images}  # read again, as there is more now
    assert (project / "images" / name).is_file()
    assert "left-out-images" not in {each.kind for each in opened.check().findings}
    again = kdsl("fetch", project, "--format", "json")
    assert (again.code, json.loads(again.out)) == (0, {"fetched": 0, "fetched_before": 1, "problems": {}})


def test_sounds_are_fetched_into_their_folder(kdsl, project, write, address):
    write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl, images: images, audio: audio}\n")
    record = {"text": "x", "label": "a", "images": [f"{address}/a.png"], "audio": [f"{address}/a.png"]}
    write("train.jsonl", json.dumps(record))
    [finding] = [each for each in Project.open(project).check().findings if each.kind == "left-out-audio"]
    assert finding.message == "sounds were left out, and samples are taken without them"
    result = kdsl("fetch", project, "--host", "127.0.0.1")
    assert f"{project}/images/.kdsl/fetched: 1 images fetched, 0 were there\n" in result.out
    assert f"{project}/audio/.kdsl/fetched: 0 sounds fetched, 0 were there\n" in result.out
    assert "not fetched" in result.out and "as such sounds are no WAV" in result.out and result.code == 1


def test_what_cannot_be_had_is_listed_with_exit_code_1(kdsl, project, write, address):
    more = write("more.jsonl", json.dumps({"text": "x", "images": [f"{address}/gone.png"]}))
    result = kdsl("fetch", project, "--input", more, "--host", "127.0.0.1")
    assert result.code == 1
    assert f"not fetched: {address}/gone.png (the server answers 404)\n" in result.out
    private = kdsl("fetch", project, "--input", more)
    assert f"not fetched: {address}/gone.png (127.0.0.1 is a private place; --host 127.0.0.1 allows it)" in private.out


def test_without_a_folder_there_is_nowhere_to_put_them(kdsl, project):
    result = kdsl("fetch", project, "data.images=")
    assert result.code == 2
    assert (
        "data.images is not set, nor is data.audio; name the folder into which files are to be fetched" in result.err
    )
