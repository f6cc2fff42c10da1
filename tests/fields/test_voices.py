"""What is said in the sounds of samples to predict: transcribed once where it can be, counted where it cannot."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kdsl.audio.transcribe import Transcribed
from kdsl.audio.transcript import Transcript, read_transcripts
from kdsl.errors import KdslError
from kdsl.fields import voices
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.voices import TranscriptFiller
from kdsl.sample import Sample

KNOWN = Transcript("known.wav", 1.0, "known")


class Listener:
    """Stands for a `Transcriber`: hears the name of every sound, but cannot hear broken ones."""

    speech = "org/whisper"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.closed = 0

    def transcribed(self, names: Sequence[str], folder: Path):
        self.asked.append(list(names))
        for name in names:
            heard = Transcript(name, 2.0, f"我要{Path(name).stem}")
            yield Transcribed(name, None, "truncated") if "broken" in name else Transcribed(name, heard)

    def close(self) -> None:
        self.closed += 1

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@pytest.fixture
def listener(monkeypatch) -> Listener:
    monkeypatch.setattr(voices, "require_speech", lambda speech: None)
    return Listener()


def samples(*sounds: str) -> list[Sample]:
    return [Sample(sound, "t", audio=(sound,)) for sound in sounds]


def filler(folder: Path, listener: Listener, **more) -> TranscriptFiller:
    return TranscriptFiller(
        Sidecars(transcripts={"known.wav": KNOWN}), folder, folder / "transcripts.jsonl", listener, **more
    )


def test_new_sounds_are_transcribed_once_and_kept_and_the_others_counted(listener, tmp_path, caplog):
    filling = filler(tmp_path, listener)
    for _ in range(2):
        filling.fill(samples("known.wav", "new.wav", "broken.amr", "new.wav"))
    assert listener.asked == [["new.wav", "broken.amr"]]
    assert filling.sidecars.transcripts["new.wav"].text == "我要new"
    assert filling.sidecars.transcripts["known.wav"] is KNOWN
    assert list(read_transcripts(tmp_path / "transcripts.jsonl")) == ["new.wav"]
    filling.tell()
    filling.tell()
    assert caplog.messages == ["1 sounds were taken as without words, the first being broken.amr (truncated)"]
    filling.fill(samples("broken.amr"))
    assert listener.asked[1:] == [["broken.amr"]], "once it was told of, it may have been mended"


def test_what_transcribes_ends_with_every_batch_where_transcripts_are_kept(listener, tmp_path):
    filling = filler(tmp_path, listener)
    filling.fill(samples("known.wav"))
    assert listener.closed == 0
    filling.fill(samples("new.wav"))
    assert listener.closed == 1


def test_without_keeping_no_file_is_written_and_what_transcribes_stays_until_the_end(listener, tmp_path):
    filling = filler(tmp_path, listener, keeping=False)
    filling.fill(samples("a.wav"))
    filling.fill(samples("b.wav"))
    assert (listener.closed, list(tmp_path.iterdir())) == (0, [])
    filling.close()
    assert listener.closed == 1


def test_without_keeping_memory_has_an_end_and_what_files_say_is_never_forgotten(listener, tmp_path, monkeypatch):
    monkeypatch.setattr(voices, "HELD", 3)
    filling = filler(tmp_path, listener, keeping=False)
    filling.fill(samples("a.wav", "b.wav", "c.wav", "known.wav"))
    filling.fill(samples("a.wav", "d.wav"))
    assert list(filling.sidecars.transcripts) == ["known.wav", "a.wav", "c.wav", "d.wav"]
    filling.fill(samples(*(f"{n}.wav" for n in range(5))))
    assert list(filling.sidecars.transcripts) == ["known.wav", *(f"{n}.wav" for n in range(5))], "a batch is whole"


@pytest.mark.parametrize("keeping", [True, False])
def test_a_sound_by_its_absolute_path_is_kept_in_no_file(listener, tmp_path, keeping):
    filling = filler(tmp_path, listener, keeping=keeping)
    filling.fill(samples("/elsewhere/new.wav"))
    assert filling.sidecars.transcripts["/elsewhere/new.wav"].text == "我要new"
    assert not (tmp_path / "transcripts.jsonl").exists()


@pytest.mark.parametrize("keeping", [True, False])
def test_without_a_folder_of_sounds_only_absolute_paths_are_transcribed(listener, tmp_path, caplog, keeping):
    filling = TranscriptFiller(Sidecars(), None, tmp_path / "transcripts.jsonl", listener, keeping=keeping)
    filling.fill(samples("new.wav", "/elsewhere/other.wav"))
    filling.tell()
    assert listener.asked == [["/elsewhere/other.wav"]]
    assert caplog.messages == ["1 sounds were taken as without words, the first being new.wav (data.audio is not set)"]


def test_where_nothing_can_transcribe_sounds_are_counted_with_what_to_install(tmp_path, monkeypatch, caplog):
    def missing(speech: str) -> None:
        raise KdslError(f"{speech} needs PyAV; install it with: pip install 'kdsl[voice]'")

    monkeypatch.setattr(voices, "require_speech", missing)
    filling = filler(tmp_path, Listener())
    filling.fill(samples("known.wav"))
    filling.fill(samples("new.wav", "other.wav"))
    filling.tell()
    assert caplog.messages == [
        "2 sounds were taken as without words, the first being new.wav (org/whisper needs PyAV; install it with: "
        "pip install 'kdsl[voice]')"
    ]


@pytest.mark.parametrize("keeping", [True, False])
def test_a_project_that_learned_from_typed_texts_hears_sounds_and_keeps_nothing(listener, tmp_path, caplog, keeping):
    filling = TranscriptFiller(Sidecars(), tmp_path, None, listener, keeping=keeping)
    filling.fill(samples("new.wav"))
    filling.tell()
    assert filling.sidecars.transcripts["new.wav"].text == "我要new"
    assert (list(tmp_path.iterdir()), caplog.messages) == ([], [])


def test_what_the_file_says_by_now_is_taken_over_and_what_was_found_stays(listener, tmp_path):
    filling = filler(tmp_path, listener, keeping=False)
    filling.fill(samples("new.wav"))
    better = Transcript("known.wav", 1.0, "better")
    filling.learn(Sidecars(transcripts={"known.wav": better}))
    assert filling.sidecars.transcripts["known.wav"] is better
    assert "new.wav" in filling.sidecars.transcripts
