"""Sounds of samples, as the page gives them to a browser."""

import io
import os
import re
import wave

import pytest
from reviewed_shop import ORIGIN
from rule_files import TASK
from speaking_shop import open_speaking_shop, write_amr, write_tone

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.audio.decoding import open_sound, voice_installed
from kdsl.errors import KdslError
from kdsl.review import page as page_words
from kdsl.review import waves
from kdsl.review.app import create_app
from kdsl.review.live import LiveSite
from kdsl.review.media import Media
from kdsl.review.waves import Waves
from kdsl.rules.wording import FIELD_NAMES

needs_decoder = pytest.mark.skipif(not voice_installed(), reason="needs the extra voice")


@pytest.fixture
def live(tmp_path) -> LiveSite:
    return open_speaking_shop(tmp_path)


@pytest.fixture
def client(live) -> TestClient:
    return TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)


def address(live: LiveSite, name: str) -> str:
    return f"/sound/{live.site.media.address(name)}"


def test_a_sound_is_sent_as_it_is_with_its_kind(client, live, tmp_path):
    content = (tmp_path / "sounds" / "a.wav").read_bytes()
    answer = client.get(address(live, "a.wav"))
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "audio/wav" and answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "a.wav" not in str(answer.headers) and "sounds" not in str(answer.headers)


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-", 206, 0, None),
        ("bytes=100-199", 206, 100, 200),
        ("bytes=-44", 206, -44, None),
        ("bytes=5-2", 200, 0, None),
        ("bytes=0-1,4-5", 200, 0, None),
    ],
)
def test_a_range_of_it_is_sent_with_its_place(client, live, tmp_path, asked, status, start, end):
    content = (tmp_path / "sounds" / "a.wav").read_bytes()
    answer = client.get(address(live, "a.wav"), headers={"range": asked})
    assert (answer.status_code, answer.content) == (status, content[start:end])
    assert answer.headers["content-length"] == str(len(answer.content))
    if status == 206:
        first, last, size = map(int, re.findall(r"\d+", answer.headers["content-range"]))
        assert (content[first : last + 1], size) == (answer.content, len(content))
    else:
        assert "content-range" not in answer.headers


def test_a_range_behind_the_end_is_refused_with_the_size(client, live, tmp_path):
    size = (tmp_path / "sounds" / "a.wav").stat().st_size
    answer = client.get(address(live, "a.wav"), headers={"range": f"bytes={size}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    assert answer.headers["cache-control"] == "no-store"


def test_head_says_what_get_would_send(client, live):
    for headers in ({}, {"range": "bytes=10-19"}, {"range": "bytes=99999999-"}):
        got, told = (ask(address(live, "a.wav"), headers=headers) for ask in (client.get, client.head))
        assert told.content == b"" and told.status_code == got.status_code
        for name in ("content-length", "content-range", "content-type", "accept-ranges"):
            assert told.headers.get(name) == got.headers.get(name)


@needs_decoder
def test_what_browsers_do_not_play_is_sent_as_wav(client, live):
    assert client.get(address(live, "phone.amr")).status_code == 404
    answer = client.get(f"{address(live, 'phone.amr')}/wav")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16_000)
        assert sound.getnframes() == pytest.approx(16_000, abs=320)
    part = client.get(f"{address(live, 'phone.amr')}/wav", headers={"range": "bytes=44-143"})
    assert (part.status_code, part.content) == (206, answer.content[44:144])


@needs_decoder
@pytest.mark.parametrize("name", ["broken.wav", "empty.wav"])
def test_what_cannot_be_decoded_is_refused_without_naming_the_file(client, live, name):
    answer = client.get(f"{address(live, name)}/wav")
    assert (answer.status_code, answer.text) == (422, "this sound cannot be played")


@pytest.mark.parametrize("name", ["../secret.wav", "gone.wav", "unknown.wav"])
def test_only_sounds_of_samples_in_the_folder_are_given_away(client, live, name):
    for end in ("", "/wav"):
        assert client.get(address(live, name) + end).status_code == 404
    for path in ("/sound/a.wav", "/sound/..%2Fsecret.wav", "/sound/", "/sound/x/wav", "/sound/a.wav/wav"):
        assert client.get(path).status_code == 404


def test_a_link_out_of_the_folder_leads_nowhere(client, live, tmp_path):
    (tmp_path / "sounds" / "gone.wav").symlink_to(tmp_path / "secret.wav")
    assert client.get(address(live, "gone.wav")).status_code == 404


def test_an_id_says_nothing_about_the_name_and_holds_until_the_end(live, tmp_path):
    media = live.site.media
    again = Media(live.site.config.data, live.site.indexes[TASK].samples, media)
    assert again.address("a.wav") == media.address("a.wav")
    assert Media(live.site.config.data, ()).address("a.wav") != media.address("a.wav")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI LIST", ""),
        (b"OggS\0\2\0\0\0\0\0\0", "audio/ogg"),
        (b"ID3\4\0\0\0\0\0\0\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\0\0\0\0\0", "audio/mpeg"),
        (b"\xff\xf3\x90\0\0\0\0\0", "audio/mpeg"),
        (b"\xff\xf1\x50\0\0\0\0\0", ""),
        (b"fLaC\0\0\0\x22\0\0\0\0", "audio/flac"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3\1\0\0\0", "audio/webm"),
        (b"#!AMR\n", ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b"", ""),
    ],
)
def test_the_kind_is_known_by_the_first_bytes_whatever_the_name_is(live, tmp_path, head, kind):
    (tmp_path / "sounds" / "a.wav").write_bytes(head)
    found = live.site.media.sound(live.site.media.address("a.wav"))
    assert found is not None and found.kind == kind


def test_small_sounds_are_loaded_at_once_and_large_or_decoded_ones_when_they_are_played(live, tmp_path):
    def preload(name: str) -> str:
        found = live.site.media.sound(live.site.media.address(name))
        assert found is not None
        return found.preload

    assert (preload("a.wav"), preload("phone.amr")) == ("metadata", "none")
    write_tone(tmp_path / "sounds" / "a.wav", seconds=33)
    assert preload("a.wav") == "none"


def test_without_the_extra_the_page_plays_what_browsers_play_and_says_what_else_it_needs(live, monkeypatch):
    monkeypatch.setattr(page_words, "voice_installed", lambda: False)
    client = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)
    played, told = (client.get(f"/t/{TASK}/sample?id={id}").text for id in ("s0", "s1"))
    assert played.count("<source") == 1 and '/wav"' not in played.replace('"audio/wav"', "")
    assert "<audio" not in told and "pip install" in told


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of files that were decoded, as often as they were."""
    names = []

    def opened(path):
        names.append(path.name)
        return open_sound(path)

    monkeypatch.setattr(waves, "open_sound", opened)
    return names


def sizes(kept: Waves, *paths) -> set[int]:
    found = set()
    for path in paths:
        with kept.of(path) as file:
            found.add(os.fstat(file.fileno()).st_size)
    return found


@needs_decoder
@pytest.mark.parametrize("limits", [{"most": 2}, {"most_bytes": 70_000}])
def test_decoded_sounds_are_kept_until_there_are_too_many(tmp_path, decoded, limits):
    first, second, third = (tmp_path / f"{name}.amr" for name in "abc")
    for path in (first, second, third):
        write_amr(path)
    assert len(sizes(Waves(**limits), first, second, first, third, second, third)) == 1
    assert decoded == ["a.amr", "b.amr", "c.amr", "b.amr"]


@needs_decoder
def test_the_last_sound_is_kept_however_large_it_is_and_decoded_again_once_it_changes(tmp_path, decoded):
    path, kept = tmp_path / "a.amr", Waves(most_bytes=1)
    write_amr(path)
    assert len(sizes(kept, path, path)) == 1 and decoded == ["a.amr"]
    write_amr(path, seconds=2.0)
    assert len(sizes(kept, path)) == 1 and decoded == ["a.amr", "a.amr"]


@needs_decoder
def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    write_amr(tmp_path / "a.amr")
    monkeypatch.setattr(waves.tempfile, "TemporaryFile", full)
    with pytest.raises(KdslError, match=r"cannot be written as WAV .*No space left on device.*make room"):
        Waves().of(tmp_path / "a.amr")


@pytest.mark.parametrize(
    ("field", "test", "hits"),
    [("voice", "order", "3/4"), ("audio.seconds", ">5", "2/2"), ("audio.count", ">1", "1/1")],
)
def test_a_rule_about_sounds_is_previewed_and_saved(client, live, field, test, hits):
    form = {"label": "parcel", "field-0": field, "test-0": test}
    assert hits in client.post(f"/t/{TASK}/preview", data=form).text
    assert client.post(f"/t/{TASK}/new", data=form).status_code == 200
    assert field in [each.rule.conditions[0].field for each in live.site.store.rules(TASK)]
    for language, name in (("en", FIELD_NAMES["en"][field]), ("zh", FIELD_NAMES["zh"][field])):
        page = client.get(f"/t/{TASK}/new?field={field}", headers={"accept-language": language}).text
        assert re.search(rf'<option value="{field}"[^>]* selected>{name}', page)
