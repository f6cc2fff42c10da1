"""Sounds that data name otherwise than by a file below data.audio: they are kept there, by what they hold."""

import base64
import io
import json
import wave
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.audio_folder import AudioFolder, is_sound, sound_of_waveform, sound_suffix
from kdsl.data.forms import Reading
from kdsl.data.given import samples_given
from kdsl.data.media_folder import CACHE, EMBEDDED, FETCHED, NoMedium
from kdsl.data.notes import Notes
from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.sample import Label, Task, Turn

TASK = Task("t", (Label("a"), Label("b")))
HEADS = {
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "ogg": b"OggS\x00\x02",
    "flac": b"fLaC\x00\x00",
    "amr": b"#!AMR\n\x3c",
    "m4a": b"\x00\x00\x00\x20ftypM4A ",
    "webm": b"\x1a\x45\xdf\xa3\x9f",
    "aiff": b"FORM\x00\x00\x00\x2eAIFFCOMM",
    "aac": b"\xff\xf1\x50\x80",
    "mp3": b"\xff\xfb\x90\x64",
}


def coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def heard(content: bytes) -> tuple[int, int, np.ndarray]:
    """Samples a second, channels and 16-bit samples of a WAV file."""
    with wave.open(io.BytesIO(content)) as file:
        return file.getframerate(), file.getnchannels(), np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "audio/shop").mkdir(parents=True)
    (tmp_path / "audio/shop/a.wav").write_bytes(HEADS["wav"])
    return tmp_path / "audio"


@pytest.fixture
def read(write, folder):
    """Samples of records, and what was noted of them."""

    def read(*records: Any):
        notes = Notes()
        lines = "\n".join(json.dumps({"text": "x", **record}) for record in records)
        return read_samples(write("data.jsonl", lines), [TASK], notes, Reading(audio=AudioFolder(folder))), notes

    return read


class TestWhatIsASound:
    @pytest.mark.parametrize("suffix", HEADS)
    def test_its_bytes_tell_the_ending_of_its_name(self, suffix):
        assert is_sound(HEADS[suffix]) and sound_suffix(HEADS[suffix]) == suffix

    def test_a_tag_before_an_mp3_is_one_too(self):
        assert sound_suffix(b"ID3\x04\x00") == "mp3"

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "are empty"),
            (b"<!DOCTYPE html>", "are no WAV, MP3, Ogg, FLAC, AMR, M4A, AAC, AIFF or WebM"),
            (b"\x89PNG\r\n\x1a\n", "are no WAV"),
            (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "are no WAV"),
            (b"\x00\x00\x00\x1cftypavif", "are no WAV"),
            (b"\xff\xd8\xff\xe0", "are no WAV"),
            (b"\xff\xfea\x00", "are no WAV"),
        ],
    )
    def test_what_is_none_is_refused(self, content, why):
        with pytest.raises(NoMedium, match=why):
            sound_suffix(content)

    def test_one_that_is_too_large_is_refused(self, monkeypatch):
        monkeypatch.setattr("kdsl.data.audio_folder.LARGEST_SOUND", 1 << 20)
        assert sound_suffix(HEADS["ogg"] + bytes((1 << 20) - len(HEADS["ogg"]))) == "ogg"
        with pytest.raises(NoMedium, match="have more than 1 MB"):
            sound_suffix(HEADS["ogg"] + bytes(1 << 20))

    @given(st.binary(max_size=40))
    def test_any_bytes_have_an_ending_or_one_sentence(self, content):
        try:
            assert sound_suffix(content) in HEADS
        except NoMedium as error:
            assert not is_sound(content) and "\n" not in str(error)


class TestInTheData:
    @pytest.mark.parametrize(
        "given",
        [
            "data:audio/wav;base64," + coded(HEADS["wav"]),
            {"bytes": coded(HEADS["wav"]), "path": "a.mp3"},
            {"input_audio": {"data": coded(HEADS["wav"]), "format": "mp3"}},
            {"audio_url": {"url": "data:audio/mpeg;base64," + coded(HEADS["wav"])}},
        ],
    )
    def test_a_sound_is_kept_once_by_its_content_and_called_as_what_it_is(self, read, folder, given):
        [first, second], notes = read({"audio": [given]}, {"audio": given})
        assert first.audio == second.audio and not notes.left_out
        [name] = first.audio
        assert name.startswith(EMBEDDED) and name.endswith(".wav")
        assert (folder / name).read_bytes() == HEADS["wav"]
        assert [path.name for path in (folder / EMBEDDED).iterdir()] == [name.rpartition("/")[2]]

    def test_in_a_message_it_stays_where_it_was(self, read, folder):
        part = {"type": "input_audio", "input_audio": {"data": coded(HEADS["amr"]), "format": "amr"}}
        content = [{"type": "text", "text": "听"}, part]
        [sample], notes = read({"text": None, "messages": [{"role": "user", "content": content}]})
        assert sample.turns == (Turn("user", "听", (), sample.audio),)
        assert (folder / sample.audio[0]).read_bytes() == HEADS["amr"] and not notes.unread

    def test_of_fusionbrain_too(self, read, folder):
        turn = [{"type": "audio", "content": "data:audio/ogg;base64," + coded(HEADS["ogg"])}]
        [sample], _ = read({"text": None, "turns": [turn]})
        assert (folder / sample.turns[0].audio[0]).read_bytes() == HEADS["ogg"]

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ({"bytes": coded(b"no sound")}, "are no WAV, MP3"),
            ({"data": "*"}, "are not in base64"),
            ({"array": [0.0, float("nan")], "sampling_rate": 16_000}, "hold something else than a list of finite"),
            ({"array": [0.0], "sampling_rate": "high"}, "have no sampling rate of 1,000 to 768,000 a second"),
            ({"array": [[], []], "sampling_rate": 16_000}, "hold something else than a list of finite"),
            ({"array": ["loud"], "sampling_rate": 16_000}, "hold something else than numbers"),
        ],
    )
    def test_what_cannot_be_kept_is_left_out_and_counted_as_lost(self, read, folder, given, why):
        samples, notes = read({"audio": [given]}, {"audio": [given, "shop/a.wav"]})
        assert [sample.audio for sample in samples] == [(), ("shop/a.wav",)]
        [(what, noted)] = notes.left_out.items()
        assert what.startswith(f"sounds in the data left out, as they {why}")
        assert (noted.count, noted.lost.keys[0]) == (2, "audio")
        assert not (folder / CACHE).exists()

    def test_a_placeholder_of_one_that_is_left_out_goes_with_it(self, read):
        [sample], _ = read({"text": "<audio>听<audio>", "audio": [{"data": "*"}, "shop/a.wav"]})
        assert sample.turns == (Turn("user", "听", (), ("shop/a.wav",)),)

    def test_without_a_folder_it_is_an_error(self, write):
        path = write("data.jsonl", json.dumps({"text": "x", "audio": [{"bytes": "UklG"}]}))
        with pytest.raises(KdslError, match="is a sound itself; sounds must be files: set data"):
            read_samples(path, [TASK])

    def test_where_nothing_is_to_be_written_it_has_a_name_and_no_file(self, write, folder):
        path = write("data.jsonl", json.dumps({"text": "x", "audio": [{"bytes": coded(HEADS["wav"])}]}))
        [sample] = read_samples(path, [TASK], reading=Reading(audio=AudioFolder(folder, looking=True)))
        assert sample.audio[0].startswith(EMBEDDED) and not (folder / CACHE).exists()


class TestDecoded:
    def test_numbers_become_wav(self):
        rate, channels, samples = heard(sound_of_waveform({"array": [0.0, 1.0, -1.0, 2.0], "sampling_rate": 8_000}))
        assert (rate, channels, samples.tolist()) == (8_000, 1, [0, 32767, -32767, 32767])

    @pytest.mark.parametrize("array", [[[0.5, 0.0, 1.0], [0.0, 0.0, 1.0]], [[0.5, 0.0], [0.0, 0.0], [1.0, 1.0]]])
    def test_channels_are_averaged_however_they_lie(self, array):
        _, channels, samples = heard(sound_of_waveform({"array": np.array(array), "sampling_rate": 16_000}))
        assert (channels, samples.tolist()) == (1, [8192, 0, 32767])

    def test_a_table_of_datasets_holds_such_sounds(self, folder):
        rows = [{"text": "x", "audio": {"path": "/a.wav", "array": np.zeros(3), "sampling_rate": 16_000}}]
        [sample] = samples_given(rows, [TASK], "samples", reading=Reading(audio=AudioFolder(folder)))
        assert heard((folder / sample.audio[0]).read_bytes())[2].tolist() == [0, 0, 0]

    def test_in_a_parquet_file_the_bytes_of_a_sound_are_no_picture(self, folder, tmp_path):
        pyarrow = pytest.importorskip("pyarrow", reason="needs the extra arrow")
        from pyarrow import parquet

        rows = [{"clip": {"bytes": HEADS["ogg"] + bytes([n]), "path": None}, "intent": "ab"[n % 2]} for n in range(6)]
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "data.parquet")
        samples = read_samples(tmp_path / "data.parquet", [TASK], reading=Reading(audio=AudioFolder(folder)))
        assert [(folder / name).read_bytes()[-1] for sample in samples for name in sample.audio] == [*range(6)]
        assert [sample.label for sample in samples] == ["a", "b"] * 3 and not samples[0].images


class TestNames:
    def test_an_absolute_path_and_an_upload_are_names_below_the_folder(self, read, folder):
        given = [f"{folder}/shop/a.wav", f"file://{folder}/shop/a.wav", "/data/upload/3/0a1b2c3d-a.wav"]
        [sample], _ = read({"audio": given})
        assert sample.audio == ("shop/a.wav",) * 3

    def test_an_address_is_left_out_until_it_is_fetched(self, read, folder):
        address = "https://shop.example/a.wav"
        [sample], notes = read({"audio": [address]})
        assert sample.audio == ()
        assert [*notes.left_out] == ["sounds left out that are addresses (`kdsl fetch` fetches them)"]
        AudioFolder(folder).keep_fetched(address, HEADS["mp3"])
        [sample], notes = read({"audio": [address]})
        assert sample.audio[0].startswith(FETCHED) and sample.audio[0].endswith(".mp3") and not notes.left_out

    def test_the_cache_never_lies_outside_the_folder(self, read, folder, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (folder / CACHE).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(KdslError, match="leads outside"):
            read({"audio": [{"bytes": coded(HEADS["wav"])}]})
        assert not [*(tmp_path / "elsewhere").iterdir()]
