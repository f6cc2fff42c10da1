"""Sounds that come with requests: transcribed, decided by what is said in them, and kept only with feedback."""

import base64
import io
import json
import threading
import wave
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from service_shop import opened

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("av", reason="needs the extra voice")
import kdsl
import kdsl.serve.sounds as limits
from kdsl.audio import decoding
from kdsl.audio.transcribe import Transcribed, Transcriber
from kdsl.audio.transcript import Transcript, Word
from kdsl.project.decision_log import read_decisions
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When

SPOKEN = Rule(id="r-voice001", label="尺码", when=When(all=(Condition(field="voice", terms=("too small",)),)))
SAID = "it is too small"
DEMO = Path(kdsl.__file__).parent / "demo" / "data" / "audio"
"""Sounds in which somebody speaks."""


def sound(seconds: float = 1.0) -> bytes:
    """A quiet hum, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(b"\x10\x01\x00\xff" * round(4000 * seconds))
    return file.getvalue()


class Ear:
    """Takes the place of speech recognition: in every sound the same is said."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.problem = ""

    def transcribed(self, _: Transcriber, names, folder):
        for name in names:
            self.heard.append(name)
            words = tuple(Word(word, i, i + 0.5) for i, word in enumerate(SAID.split()))
            transcript = None if self.problem else Transcript(name, 4.0, SAID, words)
            yield Transcribed(name, transcript, self.problem)


@pytest.fixture
def ear(monkeypatch) -> Ear:
    ear = Ear()
    monkeypatch.setattr(Transcriber, "transcribed", lambda *given: ear.transcribed(*given))
    return ear


@pytest.fixture
def shop(shop: Path) -> Path:
    """With a folder of sounds, a sidecar, and a rule about what is said in them."""
    (shop / "data" / "audio").mkdir(exist_ok=True)
    (shop / "data" / "audio" / "known.wav").write_bytes(sound())
    (shop / "data" / "audio" / "new.wav").write_bytes(sound(2.0))
    (shop / "data" / "transcripts.jsonl").write_text(
        json.dumps({"file": "known.wav", "seconds": 1.0, "transcript": SAID}) + "\n", "utf-8"
    )
    opened(shop).rules("desk").save(SPOKEN)
    return shop


@pytest.fixture
def client(serve, shop):
    data = shop / "data"
    return serve(data__audio=str(data / "audio"), data__transcripts=str(data / "transcripts.jsonl"), serve__texts=True)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "decisions" not in path.parts}


def speaks(*audio) -> dict:
    return {"id": "v", "task": "desk", "turns": [{"role": "user", "audio": list(audio)}]}


def packed(data: bytes, **more: str) -> dict[str, str]:
    return {"base64": base64.b64encode(data).decode(), **more}


def ask(client, *samples, route="predict", **more):
    return client.post(f"/v1/{route}", json={"samples": list(samples)}, **more)


def evidence(answer) -> list[dict]:
    assert answer.status_code == 200, answer.text
    [prediction] = answer.json()["predictions"]
    return [each for rule in prediction["rules"] if rule["id"] == SPOKEN.id for each in rule["evidence"]]


def told(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def logged(shop):
    return list(read_decisions(shop / "decisions", datetime.now(UTC) - timedelta(hours=1)))


def as_object(data):
    return {"json": {"samples": [speaks(packed(data, name="a.wav"))]}}


def as_address(data):
    return {"json": {"samples": [speaks(f"data:audio/wav;base64,{base64.b64encode(data).decode()}")]}}


def of_the_sample(data):
    return {"json": {"samples": [{"id": "v", "task": "desk", "audio": packed(data)}]}}


def as_form(data):
    sent = json.dumps([speaks("a.wav")])
    return {"data": {"samples": sent}, "files": {"file": ("a.wav", data, "audio/wav")}}


@pytest.mark.parametrize(
    ("sent", "called"),
    [(as_object, "a.wav"), (as_address, "sound 1"), (of_the_sample, "sound 1"), (as_form, "a.wav")],
)
def test_a_sound_comes_along_and_is_decided_by_what_is_said_in_it(client, ear, shop, sent, called):
    before = files(shop)
    [found] = evidence(client.post("/v1/predict", **sent(sound())))
    assert (found["audio"], found["seconds"], found["span"]) == (called, [2.0, 3.5], [6, 15])
    assert len(ear.heard) == 1 and files(shop) == before


def test_the_same_sound_is_transcribed_once_and_one_with_a_transcript_never(client, ear):
    for _ in range(2):
        assert evidence(ask(client, speaks(packed(sound()))))
    assert evidence(ask(client, speaks("known.wav"))) and len(ear.heard) == 1
    assert evidence(ask(client, speaks("new.wav"))) and ear.heard[1:] == ["new.wav"]


def test_where_a_sound_lies_on_the_server_is_told_to_nobody(client, ear, shop, tmp_path):
    request = as_object(sound())
    for route, headers in (("predict", {}), ("explain", {}), ("explain", {"accept": "text/html"})):
        answer = client.post(f"/v1/{route}", **request, headers=headers)
        assert answer.status_code == 200 and str(tmp_path) not in answer.text and "a.wav" in answer.text
    for line in logged(shop):
        assert line.sample["turns"][0]["audio"] == line.sample["audio"]
        assert line.sample["audio"][0].startswith(".kdsl/embedded/")


def test_an_explanation_tells_the_time_at_which_it_is_said(client, ear):
    page = ask(client, speaks(packed(sound(), name="a.wav")), route="explain", headers={"accept": "text/html"}).text
    assert "0:02" in page and "<mark" in page and "a.wav" in page


@pytest.mark.parametrize(
    ("audio", "sentence"),
    [
        (packed(b"no sound"), "sounds that are no WAV, MP3, Ogg, FLAC, AMR, M4A, AAC, AIFF or WebM are not taken"),
        (packed(b""), "sounds that are empty are not taken"),
        ("data:audio/wav;base64,???", "sounds that are not in base64 are not taken"),
        (packed(sound()[:30], name="a.wav"), "the sound 'a.wav' cannot be heard: "),
        ("nowhere.wav", "the sound 'nowhere.wav' cannot be found: it is not below data.audio; send the sound itself"),
        ("../kdsl.yaml", "leads outside data.audio"),
        ("http://x/a.wav", "is an address, and the service fetches nothing; send the sound itself"),
        (5, "it must be a file name in quotes"),
    ],
)
def test_what_cannot_be_heard_is_refused_in_one_sentence(client, ear, audio, sentence):
    status, error = told(ask(client, speaks(audio)))
    assert status == 422 and sentence in error and "\n" not in error and ear.heard == []


def test_a_sound_that_the_recogniser_cannot_take_is_refused(client, ear):
    ear.problem = "the server does not take it"
    answer = ask(client, speaks(packed(sound(), name="a.wav")))
    assert told(answer) == (422, "the sound 'a.wav' cannot be transcribed: the server does not take it")


def test_without_the_extra_the_answer_says_what_to_install(client, monkeypatch):
    monkeypatch.setattr(decoding, "find_spec", lambda name: None)
    status, error = told(ask(client, speaks(packed(sound()))))
    assert status == 422 and "install it with: pip install" in error
    assert evidence(ask(client, speaks("known.wav")))


def test_a_project_without_sounds_of_its_own_hears_those_of_requests(serve, ear):
    client = serve(data__audio=None, data__transcripts=None)
    assert evidence(ask(client, speaks(packed(sound()))))
    assert told(ask(client, speaks("known.wav"))) == (
        422, "the sound 'known.wav' cannot be found: data.audio is not set; send the sound itself"
    )  # fmt: skip


def test_the_sounds_of_a_sample_and_of_a_request_may_last_so_long(client, ear, monkeypatch):
    monkeypatch.setattr(limits, "MOST_SECONDS", 3.0)
    monkeypatch.setattr(limits, "MOST_TOGETHER", 5.0)
    one, two = packed(sound(1.0)), packed(sound(2.0))
    assert ask(client, speaks(one, two)).status_code == 200
    assert told(ask(client, speaks(packed(sound(1.5)), packed(sound(1.75))))) == (
        422, "the sounds of 'v' last 3 seconds together, more than 3; send what matters of them"
    )  # fmt: skip
    lengths = [{**speaks(packed(sound(2.5 + i / 10))), "id": str(i)} for i in range(3)]
    assert told(ask(client, *lengths)) == (413, "the sounds last 8 seconds together, more than 5; send fewer at once")


def test_as_many_sounds_as_images_are_taken_and_files_that_nobody_names_are_not(client, ear):
    status, error = told(ask(client, speaks(*["known.wav"] * 101)))
    assert (status, error) == (422, "samples, item 1: it has 101 sounds, more than 100; send those that matter")
    form = {"data": {"samples": json.dumps([speaks("known.wav")])}, "files": {"f": ("b.wav", sound(), "audio/wav")}}
    assert "name the file 'b.wav'" in client.post("/v1/predict", **form).json()["error"]


def test_requests_without_sounds_do_not_wait_for_those_with_some(client, ear, monkeypatch):
    heard, go_on = threading.Event(), threading.Event()
    transcribed = ear.transcribed

    def slowly(*given):
        heard.set()
        assert go_on.wait(60)
        return transcribed(*given)

    monkeypatch.setattr(ear, "transcribed", slowly)
    with ThreadPoolExecutor(1) as thread:
        slow = thread.submit(ask, client, speaks(packed(sound())))
        assert heard.wait(60)
        assert ask(client, {"id": "a", "task": "desk", "text": "钱"}).status_code == 200
        assert not slow.done()
        go_on.set()
        assert evidence(slow.result())


def test_what_takes_too_long_is_heard_to_its_end_and_need_not_be_heard_again(serve, shop, ear, monkeypatch):
    client = serve(data__transcripts=None, serve__seconds=2.0)
    go_on, transcribed = threading.Event(), ear.transcribed

    def slowly(*given):
        assert go_on.wait(60)
        return transcribed(*given)

    monkeypatch.setattr(ear, "transcribed", slowly)
    status, error = told(ask(client, speaks(packed(sound()))))
    assert status == 503 and "`serve.seconds`" in error
    go_on.set()
    assert evidence(ask(client, speaks(packed(sound())))) and len(ear.heard) == 1


def give(client, **more):
    return client.post("/v1/feedback", json={"id": "v", "task": "desk", "label": "尺码", "by": "Li", **more})


def test_feedback_keeps_the_sound_beside_those_of_the_project(client, ear, shop):
    ask(client, speaks(packed(sound(1.5))))
    assert give(client).status_code == 200
    assert give(client, sample=speaks(packed(sound(2.5)))).status_code == 200
    [first, second] = [word.sample for word in opened(shop).feedback_log.events()]
    for sample, seconds in ((first, 1.5), (second, 2.5)):
        assert sample.audio == sample.turns[0].audio
        assert (shop / "data" / "audio" / sample.audio[0]).read_bytes() == sound(seconds)


def test_without_a_folder_for_sounds_they_cannot_be_kept(serve, shop, ear):
    client = serve(data__audio=None)
    assert told(give(client, sample=speaks(packed(sound())))) == (
        422, "data.audio is not set, so that sounds of feedback cannot be kept; name a folder"
    )  # fmt: skip


def test_the_embedded_recogniser_hears_real_speech(client):
    pytest.importorskip("pocketsphinx", reason="needs the extra voice")
    [spoken] = [path for path in DEMO.iterdir() if "0308" in path.name]
    rule = Rule(id="r-voice002", label="退款", when=When(all=(Condition(field="voice", terms=("package",)),)))
    service = client.app.state.service
    service.live.project.rules("desk").save(rule)
    service.live.refresh()
    [prediction] = ask(client, speaks(packed(spoken.read_bytes(), name="a.ogg"))).json()["predictions"]
    [found] = [each for hit in prediction["rules"] if hit["id"] == rule.id for each in hit["evidence"]]
    assert found["audio"] == "a.ogg" and 0.5 < found["seconds"][0] < found["seconds"][1] < 2.5
