"""The sidecar of transcripts is filled once for each sound, by every kind of recogniser, and nothing is lost."""

import json
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sounds import RATE, needs_espeak, needs_voice, save_as, save_wav, silence, spoken, tone
from speech_server import speech_server

from kdsl.audio.pieces import Piece
from kdsl.audio.recogniser import Heard
from kdsl.audio.transcribe import Transcribed, Transcriber, fill_transcripts, transcribed
from kdsl.audio.transcript import Transcript, Word, read_transcripts
from kdsl.errors import KdslError

for _package in needs_voice:
    pytest.importorskip(_package)


class Counting:
    """A recogniser that says how many seconds it was given; loud pieces are too much for it."""

    name, longest, at_once = "counting", 10.0, 3

    def __init__(self) -> None:
        self.given: list[list[float]] = []

    def recognise(self, pieces: Sequence[Piece]) -> list[Heard | str]:
        self.given.append([round(piece.seconds, 1) for piece in pieces])
        return [
            "too loud" if np.abs(piece.samples).max() > 0.9
            else Heard(f"{piece.seconds:.0f}s", (Word(f"{piece.seconds:.0f}s", 0.1, 0.2),), "en")
            for piece in pieces
        ]  # fmt: skip


class InParts:
    """A recogniser that says these texts, one a piece."""

    name, longest, at_once = "in parts", 30.0, 2

    def __init__(self, *texts: str) -> None:
        self.texts = iter(texts)

    def recognise(self, pieces: Sequence[Piece]) -> list[Heard | str]:
        return [Heard(next(self.texts)) for _ in pieces]


def test_pieces_of_several_sounds_are_given_at_once_and_sounds_come_in_their_order(tmp_path):
    save_wav(tmp_path / "a.wav", tone(1), silence(2), tone(2), silence(2), tone(3), silence(2), tone(1))
    save_wav(tmp_path / "b.wav", silence(1))
    save_wav(tmp_path / "c.wav", tone(4))
    recogniser = Counting()
    found = list(transcribed(["a.wav", "b.wav", "c.wav"], tmp_path, recogniser))
    assert recogniser.given == [[1.2, 2.5, 3.5], [1.2, 4.0]]
    a, b, c = (each.transcript for each in found)
    assert (a.file, a.seconds, a.text, a.language, a.model) == ("a.wav", 13.0, "1s 2s 3s 1s", "en", "counting")
    assert [round(word.start, 2) for word in a.words] == [0.1, 2.86, 6.86, 11.86]  # from the sound's beginning
    assert (b.text, b.words, b.seconds, b.language) == ("", (), 1.0, "")
    assert (c.text, c.seconds) == ("4s", 4.0)


def test_words_without_times_are_known_by_the_piece_that_they_are_said_in(tmp_path):
    save_wav(tmp_path / "a.wav", tone(1), silence(2), tone(1))
    [found] = transcribed(["a.wav"], tmp_path, InParts("where is", "my order"))
    assert found.transcript.text == "where is my order"
    assert found.transcript.times(9, 11) == (2.76, 4.0)
    assert found.transcript.times(0, 5) == (0.0, 1.24)


@pytest.mark.parametrize(
    ("texts", "joined"),
    [(("我的", "订单"), "我的订单"), (("我的", "order"), "我的 order"), (("", "单"), "单"), (("a", ""), "a")],
)
def test_chinese_pieces_are_joined_without_a_space(tmp_path, texts, joined):
    save_wav(tmp_path / "a.wav", tone(1), silence(2), tone(1))
    [found] = transcribed(["a.wav"], tmp_path, InParts(*texts))
    assert found.transcript.text == joined


def test_one_piece_that_cannot_be_recognised_is_a_problem_of_its_sound_alone(tmp_path):
    save_wav(tmp_path / "a.wav", tone(1), silence(2), tone(1, loudness=0.99))
    save_wav(tmp_path / "b.wav", tone(2))
    a, b = transcribed(["a.wav", "b.wav"], tmp_path, Counting())
    assert a == Transcribed("a.wav", None, "too loud")
    assert b.transcript.text == "2s"


@needs_espeak
def test_the_embedded_recogniser_fills_the_sidecar_with_words_and_absolute_times(tmp_path):
    save_wav(tmp_path / "a.wav", silence(3), spoken("please cancel my order"), silence(2), spoken("I want a refund"))
    save_as(tmp_path / "b.ogg", spoken("I want a refund"))
    sidecar = tmp_path / "made/transcripts.jsonl"
    with Transcriber("pocketsphinx", workers=2) as transcriber:
        outcome = fill_transcripts(["a.wav", "b.ogg", "a.wav"], tmp_path, sidecar, transcriber)
    assert (outcome.transcribed, outcome.transcribed_before, outcome.silent) == (2, 0, 0)
    known = read_transcripts(sidecar)
    assert known["a.wav"].text == "please cancel my order i want a refund"
    assert "refund" in known["b.ogg"].text
    assert (known["a.wav"].model, known["a.wav"].language) == ("pocketsphinx", "en")
    [order, refund] = [word for word in known["a.wav"].words if word.word in ("order", "refund")]
    assert 3.5 < order.start < order.end < 5.5 < refund.start < refund.end < known["a.wav"].seconds
    assert not multiprocessing.active_children()


def fill(folder: Path, *names: str, server) -> dict[str, Transcript]:
    with Transcriber(server.url) as transcriber:
        fill_transcripts(names, folder, folder / "t.jsonl", transcriber)
    return read_transcripts(folder / "t.jsonl")


def test_a_second_run_transcribes_what_is_missing_and_mends_a_torn_line(tmp_path):
    save_wav(tmp_path / "a.wav", tone(1, 300))
    save_wav(tmp_path / "b.wav", tone(1, 1200))
    sidecar = tmp_path / "t.jsonl"
    with speech_server() as server:
        known = fill(tmp_path, "a.wav", "b.wav", server=server)
        assert [known[name].text for name in ("a.wav", "b.wav")] == ["low tone", "高 tone"]
        whole = sidecar.read_bytes()
        assert fill(tmp_path, "a.wav", "b.wav", server=server) == known
        assert len(server.forms) == 2
        sidecar.write_bytes(whole[:-30])
        fill(tmp_path, "a.wav", "b.wav", server=server)
        assert sidecar.read_bytes() == whole
        assert len(server.forms) == 3


def test_a_long_sound_is_transcribed_in_pieces_without_its_silence(tmp_path):
    save_as(tmp_path / "a.flac", np.concatenate([silence(100), tone(1, 300), silence(99)]))
    with speech_server() as server:
        known = fill(tmp_path, "a.flac", server=server)
        assert [form["file"][3] for form in server.forms] == [1.48]
    assert known["a.flac"].seconds == 200.0
    assert known["a.flac"].words[0] == Word("low", 100.01, 100.26)


def test_a_sound_of_many_hours_is_told_before_any_of_it_is_transcribed(tmp_path, monkeypatch):
    for module in ("decoding", "transcribe"):
        monkeypatch.setattr(f"kdsl.audio.{module}.LONGEST_SECONDS", 360)
    save_as(tmp_path / "a.flac", np.concatenate([tone(1), silence(360)]))
    recogniser = Counting()
    [found] = transcribed(["a.flac"], tmp_path, recogniser)
    assert (found.problem, recogniser.given) == ("lasts more than 0.1 hours; cut it", [])


def test_an_interruption_keeps_what_is_done_and_says_so(tmp_path):
    class Interrupted(Transcriber):
        def transcribed(self, names, folder):
            yield Transcribed("a.wav", Transcript("a.wav", 1.0, "low"))
            raise KeyboardInterrupt

    sidecar = tmp_path / "t.jsonl"
    with pytest.raises(KeyboardInterrupt) as raised:
        fill_transcripts(["a.wav", "b.wav"], tmp_path, sidecar, Interrupted("pocketsphinx"))
    assert str(raised.value) == f"1 transcripts are in {sidecar}; run again to go on"
    assert list(read_transcripts(sidecar)) == ["a.wav"]


def test_a_server_that_stops_answering_is_one_sentence_that_says_what_is_done(tmp_path):
    for number in range(20):
        save_wav(tmp_path / f"{number}.wav", tone(1, 300))
    names = [f"{number}.wav" for number in range(20)]
    sidecar = tmp_path / "t.jsonl"
    with speech_server(faults=[401]) as server, pytest.raises(KdslError) as raised:
        fill(tmp_path, *names, server=server)
    assert "answers 401" in str(raised.value) and "transcripts are in" not in str(raised.value)
    with speech_server() as server:
        fill(tmp_path, *names[:1], server=server)
        server.faults = [*[{"text": "x"}] * 16, *[403] * 4]
        with pytest.raises(KdslError) as raised:
            fill(tmp_path, *names, server=server)
    assert "answers 403" in str(raised.value) and f"16 new transcripts are in {sidecar}" in str(raised.value)
    assert len(read_transcripts(sidecar)) == 17


STAND_IN = """
import os

class Decoder:
    def __init__(self, **settings):
        self.config = {"frate": 100}
    def start_utt(self): ...
    def end_utt(self): ...
    def process_raw(self, data, full_utt):
        if b"\\xfe\\x7f" * 9 in data:
            os._exit(9)
    def seg(self):
        return ()
"""


@pytest.fixture
def deadly(tmp_path, monkeypatch) -> Path:
    """A PocketSphinx whose process dies of the loudest samples; worker processes import it instead of the real one."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/pocketsphinx.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    save_wav(tmp_path / "a.wav", tone(1))
    save_wav(tmp_path / "deadly.wav", np.ones(RATE, np.float32))
    return tmp_path


def test_a_process_that_dies_is_one_sentence_loses_nothing_and_the_next_sound_has_another_one(deadly):
    transcriber = Transcriber("pocketsphinx")
    try:
        with pytest.raises(KdslError) as raised:
            fill_transcripts(["a.wav", "deadly.wav"], deadly, deadly / "t.jsonl", transcriber)
        assert str(raised.value) == (
            f"a process that transcribes died, perhaps for lack of memory; 1 new transcripts are in "
            f"{deadly / 't.jsonl'}; try again, with fewer workers"
        )
        assert list(read_transcripts(deadly / "t.jsonl")) == ["a.wav"]
        [found] = transcriber.transcribed(["a.wav"], deadly)
        assert found.transcript is not None
        processes = set(multiprocessing.active_children())
        list(transcriber.transcribed(["a.wav"], deadly))
        assert set(multiprocessing.active_children()) == processes  # it stays
    finally:
        transcriber.close()
    assert not set(multiprocessing.active_children()) & processes


def test_the_work_of_workers_ends_at_once_when_it_fails(deadly):
    with pytest.raises(RuntimeError), Transcriber("pocketsphinx", workers=2) as transcriber:
        next(transcriber.transcribed(["a.wav"] * 50, deadly))
        raise RuntimeError
    assert not multiprocessing.active_children()


def test_another_file_is_not_overwritten_as_a_sidecar(tmp_path):
    other = tmp_path / "o.jsonl"
    other.write_text('{"image": "a.png"}\n')
    save_wav(tmp_path / "a.wav", tone(1))
    with pytest.raises(KdslError, match=r"o.jsonl, line 1: not a transcript \(there is no 'file'\)"):
        fill_transcripts(["a.wav"], tmp_path, other, Transcriber("pocketsphinx"))
    assert json.loads(other.read_text()) == {"image": "a.png"}


def test_what_the_sidecar_holds_may_be_known_already(tmp_path):
    save_wav(tmp_path / "a.wav", tone(1, 300))
    known = {"b.wav": Transcript("b.wav", 1.0, "high")}
    with speech_server() as server, Transcriber(server.url) as transcriber:
        outcome = fill_transcripts(["a.wav", "b.wav"], tmp_path, tmp_path / "t.jsonl", transcriber, known=known)
    assert (outcome.transcribed, outcome.transcribed_before) == (1, 1)
    assert known["a.wav"].text == "low tone"
    assert known["a.wav"] == read_transcripts(tmp_path / "t.jsonl")["a.wav"]


BAD = {
    "empty.wav": "is empty; give it as WAV, MP3, OGG, M4A or AMR",
    "text.wav": "is no sound that can be read (Invalid data found when processing input); give it as WAV",
    "picture.mp3": "is no sound that can be read (",
    "folder.wav": "is a folder, not a file; give the name of a file",
    "pipe.wav": "is a pipe, not a file; give the name of a file",
    "missing.wav": "no such file",
    "link.wav": "'link.wav' leads outside ",
    "../secret.wav": "'../secret.wav' leads outside ",
    "film.mp4": "is a video without a sound track; give it as WAV",
    "rate.wav": "is no sound that can be read (Invalid data found when processing input); give it as WAV",
    "head.wav": "is no sound that can be read (it is cut off); give it as WAV",
}
ODD = {
    "cut.wav": "it is cut off",
    "cut.ogg": "it is cut off",
    "talk.mp4": "a video, whose sound track was taken",
}
GOOD = ("8000.wav", "24bit.wav", "float.wav", "48000.wav", "stereo.wav", "nan.wav", "clipped.wav", "4gb.wav",
        "a.amr", "a.m4a", "a.ogg", "a.mp3", "mp3.wav", "long.flac", "silent.wav")  # fmt: skip


@pytest.fixture
def customers(tmp_path) -> Path:
    """What customers send: every file named in `BAD`, `ODD` and `GOOD`."""
    import soundfile
    from PIL import Image

    folder = tmp_path / "sounds"
    sound = tone(2.0, 300)
    whole = save_wav(folder / "8000.wav", tone(2.0, 300, rate=8_000), rate=8_000).read_bytes()
    for name, kind in (("24bit", "PCM_24"), ("float", "FLOAT")):
        soundfile.write(folder / f"{name}.wav", sound, RATE, subtype=kind)
    soundfile.write(folder / "48000.wav", tone(2.0, 300, rate=48_000), 48_000)
    soundfile.write(folder / "stereo.wav", np.stack([sound, sound / 2], axis=1), RATE)
    soundfile.write(folder / "nan.wav", np.where(np.arange(len(sound)) % 97 < 9, np.nan, sound), RATE, subtype="FLOAT")
    soundfile.write(folder / "clipped.wav", 40 * sound, RATE, subtype="FLOAT")
    (folder / "4gb.wav").write_bytes(whole[:4] + b"\xff\xff\xff\xef" + whole[8:40] + b"\xd0\xff\xff\xef" + whole[44:])
    for ending in ("amr", "m4a", "ogg", "mp3"):
        save_as(folder / f"a.{ending}", sound)
    (folder / "mp3.wav").write_bytes((folder / "a.mp3").read_bytes())
    save_as(folder / "long.flac", np.concatenate([silence(900), sound, silence(898)]))
    save_wav(folder / "silent.wav", silence(2))
    save_as(folder / "talk.mp4", sound, pictures=10)
    save_as(folder / "film.mp4", np.zeros(0, np.float32), pictures=10)
    (folder / "cut.wav").write_bytes(whole[:-9_000])
    cut = save_as(folder / "cut.ogg", np.tile(sound, 4)).read_bytes()
    (folder / "cut.ogg").write_bytes(cut[: len(cut) * 3 // 4])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("where is my order? " * 40)
    (folder / "rate.wav").write_bytes(whole[:24] + bytes(4) + whole[28:])
    (folder / "head.wav").write_bytes(whole[:30])
    Image.new("RGB", (30, 30), "red").save(folder / "picture.mp3", format="PNG")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    (folder / "link.wav").symlink_to(save_wav(tmp_path / "secret.wav", sound))
    return folder


def test_every_file_that_customers_send_is_a_transcript_a_note_or_one_sentence(customers, capfd):
    names = [*BAD, *ODD, *GOOD]
    assert len(BAD) + len(ODD) >= 14 and len(names) >= 29
    with speech_server() as server, Transcriber(server.url) as transcriber:
        outcome = fill_transcripts(names, customers, customers / "t.jsonl", transcriber)
    assert set(outcome.problems) == set(BAD)
    for name, sentence in BAD.items():
        assert outcome.problems[name].startswith(sentence) and "\n" not in outcome.problems[name], name
    assert outcome.notes == ODD
    known = read_transcripts(customers / "t.jsonl")
    assert set(known) == {*ODD, *GOOD}
    assert {name: each.text for name, each in known.items() if each.text != "low tone"} == {"silent.wav": ""}
    assert (outcome.transcribed, outcome.silent) == (len(ODD) + len(GOOD), 1)
    assert known["long.flac"].seconds == 1800.0
    assert 900 <= known["long.flac"].words[0].start < 901
    assert capfd.readouterr() == ("", "")  # decoders say nothing
    assert json.loads((customers / "t.jsonl").read_text("utf-8").splitlines()[-1])["file"] == "silent.wav"
