"""Sounds of every form become one channel of 16 000 samples a second, and are looked at without trust."""

import os
import re
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import RATE, needs_voice, save_as, save_wav, silence, tone

from kdsl.audio.decoding import LONGEST_SECONDS, SILENT, audio_facts, load_audio, open_sound, sound_path
from kdsl.distribution import install_command
from kdsl.errors import KdslError

for _package in needs_voice:
    pytest.importorskip(_package)


def pitch(sound: np.ndarray) -> float:
    """Hertz of the loudest tone."""
    return float(np.argmax(np.abs(np.fft.rfft(sound))) * RATE / len(sound))


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "webm", "m4a", "amr"])
def test_every_form_gives_the_same_sound(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "wav":
        save_wav(path, tone(1.0, rate=22_050), rate=22_050)
    else:
        save_as(path, tone(1.0, rate=22_050), rate=22_050)
    sound = load_audio(path)
    assert sound.dtype == np.float32 and sound.ndim == 1
    assert len(sound) / RATE == pytest.approx(1.0, abs=0.15)  # coders add silence at both ends
    assert pitch(sound) == pytest.approx(440, abs=10)
    assert np.abs(sound).max() == pytest.approx(0.3, abs=0.06)
    facts = audio_facts(path)
    assert (facts.problem, facts.detail, facts.channels) == (None, "", 1)
    assert facts.seconds == len(sound) / RATE
    assert facts.loudest == pytest.approx(float(np.abs(sound).max()))
    assert facts.rate == {"amr": 8_000, "ogg": 48_000, "webm": 48_000}.get(ending, 22_050)


@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_every_kind_of_sample_and_rate_is_the_same_sound(tmp_path, kind, rate):
    import soundfile

    soundfile.write(tmp_path / "a.wav", tone(0.5, rate=rate), rate, subtype=kind)
    sound = load_audio(tmp_path / "a.wav")
    assert len(sound) == RATE // 2
    assert pitch(sound) == pytest.approx(440, abs=2)
    assert np.abs(sound).max() == pytest.approx(0.3, abs=0.02)


def test_channels_are_mixed(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.stack([tone(1.0), silence(1.0)], axis=1), RATE)
    assert np.abs(load_audio(tmp_path / "a.wav")).max() == pytest.approx(0.15, abs=0.07)
    assert audio_facts(tmp_path / "a.wav").channels == 2


def test_a_part_is_what_the_whole_has_there(tmp_path):
    path = save_wav(tmp_path / "a.wav", tone(1.5), silence(1.0), tone(0.7, 900))
    whole = load_audio(path)
    assert len(whole) == round(3.2 * RATE)
    for start, end in [(0.0, 0.25), (1.4, 2.6), (0.5, 3.0), (2.9, 9.0), (3.1, None), (5.0, 6.0)]:
        stop = None if end is None else round(end * RATE)
        assert np.array_equal(load_audio(path, start, end), whole[round(start * RATE) : stop])


def test_numbers_that_are_none_are_silence_and_what_is_too_loud_is_as_loud_as_possible(tmp_path):
    import soundfile

    holes = tone(0.5)
    holes[::50] = np.nan
    holes[7::50] = np.inf
    soundfile.write(tmp_path / "holes.wav", holes, RATE, subtype="FLOAT")
    sound = load_audio(tmp_path / "holes.wav")
    assert np.isfinite(sound).all()
    assert sound[25] == pytest.approx(float(tone(0.5)[25]))
    assert not sound[::50].any() and not sound[7::50].any()
    soundfile.write(tmp_path / "loud.wav", 30_000 * tone(0.5), RATE, subtype="FLOAT")
    assert np.abs(load_audio(tmp_path / "loud.wav")).max() == 1.0


def test_silence_is_told_by_the_loudest_sample(tmp_path):
    quiet = save_wav(tmp_path / "quiet.wav", tone(1.0, loudness=SILENT * 0.9))
    assert (audio_facts(quiet).problem, audio_facts(quiet).detail) == ("silent", "nothing can be heard")
    assert audio_facts(save_wav(tmp_path / "a.wav", tone(1.0, loudness=SILENT * 1.2))).problem is None


def test_a_video_is_its_sound_track_and_says_so(tmp_path):
    film = save_as(tmp_path / "a.mp4", tone(1.0), pictures=8)
    facts = audio_facts(film)
    assert (facts.problem, facts.detail) == ("video", "its sound track is taken")
    assert pitch(load_audio(film)) == pytest.approx(440, abs=10)
    mute = save_as(tmp_path / "mute.mp4", np.zeros(0, np.float32), pictures=8)
    assert audio_facts(mute).problem == "unreadable"
    with pytest.raises(KdslError, match=r"mute.mp4: is a video without a sound track; give it as WAV"):
        load_audio(mute)


def test_a_picture_on_the_cover_makes_no_video(tmp_path):
    import av
    from PIL import Image

    Image.new("RGB", (32, 32), "red").save(tmp_path / "cover.png")
    save_as(tmp_path / "plain.mp3", tone(0.5))
    names = ((tmp_path / "plain.mp3", "r"), (tmp_path / "cover.png", "r"), (tmp_path / "a.mp3", "w"))
    with ExitStack() as stack:
        sound, cover, file = (stack.enter_context(av.open(str(path), mode)) for path, mode in names)
        added = [file.add_stream_from_template(source.streams[0]) for source in (sound, cover)]
        added[1].disposition = av.stream.Disposition.attached_pic
        for stream, source in zip(added, (sound, cover), strict=True):
            for packet in source.demux():
                if packet.size:
                    packet.stream = stream
                    file.mux(packet)
    assert audio_facts(tmp_path / "a.mp3").problem is None


def whole_wav(seconds: float = 1.0) -> bytes:
    import io

    import soundfile

    file = io.BytesIO()
    soundfile.write(file, tone(seconds), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def with_bytes(content: bytes, **fields: int) -> bytes:
    """A WAV file with another number in its head."""
    places = {"length": (4, "<I"), "channels": (22, "<H"), "rate": (24, "<I"), "data": (40, "<I")}
    changed = bytearray(content)
    for name, value in fields.items():
        place, form = places[name]
        struct.pack_into(form, changed, place, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; give it as WAV, MP3, OGG, M4A or AMR"),
        (b"where is my order? " * 40, "is no sound that can be read (Invalid data found when processing input)"),
        (b"ffconcat version 1.0\nfile secret.wav\n", "is no sound that can be read ("),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n", "is no sound that can be "),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is no sound that can be read ("),
        (b"\x02#!SILK_V3" + bytes(99), "is SILK, as WeChat keeps voice messages, which nothing here decodes; give"),
        (with_bytes(whole_wav(), rate=0), "is no sound that can be read (Invalid data found when processing input)"),
        (with_bytes(whole_wav(), rate=50), "says that it has 50 samples a second; give it as WAV"),
        (with_bytes(whole_wav(), rate=2_000_000_000), "says that it has 2000000000 samples a second"),
        (with_bytes(whole_wav(), channels=65_535), "cannot be decoded ("),
        (whole_wav(0.0), "no sound is in it"),
        (whole_wav()[:30], "is no sound that can be read (it is cut off)"),
    ],
    ids=["empty", "text", "list of files", "playlist", "picture", "silk", "rate 0", "rate 50", "rate 2 GHz",
         "channels", "no samples", "half a head"],
)  # fmt: skip
def test_what_is_no_sound_is_one_sentence_and_nothing_else_is_said(tmp_path, capfd, content, sentence):
    save_wav(tmp_path / "secret.wav", tone(1.0))
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    facts = audio_facts(path)
    assert facts.problem == "unreadable"
    with pytest.raises(KdslError) as raised:
        load_audio(path)
    assert str(raised.value).startswith(f"{path}: ") and sentence in str(raised.value)
    assert facts.detail in str(raised.value) and "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_what_is_no_file_is_one_sentence(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("nowhere.wav")
    told = {path.name: audio_facts(path) for path in tmp_path.iterdir()}
    assert {name: (facts.problem, facts.detail) for name, facts in told.items()} == {
        "folder.wav": ("unreadable", "is a folder, not a file; give the name of a file"),
        "pipe.wav": ("unreadable", "is a pipe, not a file; give the name of a file"),
        "link.wav": ("unreadable", "a link to a file that is not there"),
    }
    missing = tmp_path / "missing.wav"
    assert (audio_facts(missing).problem, audio_facts(missing).detail) == ("missing", "no such file")
    with pytest.raises(KdslError, match=r"missing.wav: no such file"):
        load_audio(missing)


@pytest.mark.parametrize("ending", ["wav", "ogg"])
def test_of_a_file_that_is_cut_off_the_beginning_is_taken_and_that_is_told(tmp_path, ending):
    whole = save_as(tmp_path / "a.ogg", np.tile(tone(1.0), 8)) if ending == "ogg" else tmp_path / "a.wav"
    if ending == "wav":
        save_wav(whole, tone(8.0))
    assert audio_facts(whole).problem is None
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    facts = audio_facts(cut)
    assert (facts.problem, facts.detail) == ("damaged", "it is cut off")
    assert 3 < facts.seconds < 7
    assert len(load_audio(cut)) == round(facts.seconds * RATE)


def test_a_length_that_a_writing_program_does_not_know_is_no_damage(tmp_path):
    for number, length in enumerate((0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0023)):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(with_bytes(whole_wav(), length=length, data=length))
        assert (audio_facts(path).problem, audio_facts(path).seconds) == (None, 1.0)


def test_what_comes_behind_a_damaged_part_is_taken(tmp_path):
    path = save_as(tmp_path / "a.mp3", tone(4.0))
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 1500] = bytes(1500)
    path.write_bytes(data)
    facts = audio_facts(path)
    assert (facts.problem, facts.detail[:36]) == ("damaged", "a part of it cannot be decoded (Inva")
    assert 2.5 < facts.seconds < 4.0


def test_a_sound_of_many_hours_is_told_and_decoded_by_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("kdsl.audio.decoding.LONGEST_SECONDS", 360)
    path = save_as(tmp_path / "a.flac", silence(361.0))
    facts = audio_facts(path)
    assert (facts.problem, facts.detail) == ("long", "lasts more than 0.1 hours")
    with pytest.raises(KdslError, match=r"a.flac: lasts more than 0.1 hours; cut it$"):
        load_audio(path)
    assert len(load_audio(path, 10.0, 12.0)) == 2 * RATE
    assert LONGEST_SECONDS == 7200


def test_a_head_that_claims_four_gigabytes_takes_no_more_memory_than_its_content(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(with_bytes(whole_wav(), length=0xEFFF_FFFF, data=0xEFFF_FF00))
    program = """
import resource, sys
from pathlib import Path
from kdsl.audio.decoding import audio_facts, load_audio
import av
audio_facts(Path(sys.argv[2]))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
print(audio_facts(Path(sys.argv[1])).seconds, len(load_audio(Path(sys.argv[1]))))
"""
    save_wav(tmp_path / "small.wav", tone(0.1))
    words = [sys.executable, "-c", program, str(path), str(tmp_path / "small.wav")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1.0 16000\n", "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([".ogg", ".mp3", ".m4a", ".flac", ".amr"]), st.data())
def test_damage_anywhere_is_facts_or_one_sentence(tmp_path, ending, data):
    whole = tmp_path / f"whole{ending}"
    if not whole.exists():
        save_as(whole, tone(0.6))
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"hurt{ending}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    facts = audio_facts(path)
    if facts.problem in ("unreadable", "long"):
        with pytest.raises(KdslError):
            load_audio(path)
    else:
        assert len(load_audio(path)) == round(facts.seconds * RATE)


def test_a_file_that_ends_before_it_names_its_codec_is_one_sentence(tmp_path):
    path = save_as(tmp_path / "a.m4a", tone(0.6))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"stbl") + 4])
    facts = audio_facts(path)
    assert facts.problem == "unreadable"
    assert re.fullmatch(r"is no sound that can be read \((it is cut off|it names no codec)\)", facts.detail)
    with pytest.raises(KdslError, match=r"a\.m4a: is no sound that can be read"):
        load_audio(path)


def test_a_name_never_leads_out_of_its_folder_but_a_program_may_give_a_whole_path(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "out.wav").symlink_to(save_wav(tmp_path / "secret.wav", tone(0.1)))
    for name in ("../secret.wav", "out.wav"):
        with pytest.raises(KdslError, match="leads outside"):
            sound_path(folder, name)
    assert sound_path(folder, "a.wav") == folder / "a.wav"
    assert sound_path(folder, str(tmp_path / "secret.wav")) == tmp_path / "secret.wav"


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    path = save_wav(tmp_path / "a.wav", tone(0.1))
    monkeypatch.setitem(sys.modules, "av", None)
    for ask in (load_audio, audio_facts):
        with pytest.raises(KdslError) as raised:
            ask(path)
        assert str(raised.value) == f"decoding sounds needs PyAV; install it with: {install_command('voice')}"
    with pytest.raises(KdslError), open_sound(path):
        pass


def test_a_name_in_another_encoding_and_tags_in_another_encoding_do_no_harm(tmp_path):
    path = save_as(tmp_path / "订单.mp3", tone(0.5))
    tagged = (
        b"ID3\x03\x00\x00\x00\x00\x00\x0f" + b"TIT2\x00\x00\x00\x05\x00\x00\x00\xb6\xa9\xb5\xa5" + path.read_bytes()
    )
    path.write_bytes(tagged)
    assert audio_facts(Path(path)).problem is None
