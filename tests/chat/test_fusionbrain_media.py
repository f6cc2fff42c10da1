"""Pictures and sounds become files that a model takes at once; one that cannot be used is a text, told in the log."""

import os
import time
import wave
from pathlib import Path

import pytest
from PIL import Image

from kdsl.chat.dialogue import ChatTurn, Part
from kdsl.chat.fusionbrain import media
from kdsl.chat.fusionbrain.media import UNUSABLE, Media, cut_sound, find_file
from kdsl.errors import KdslError
from kdsl.vlm.pixels import FACTOR, PixelBudget

BUDGET = PixelBudget(28 * 28, 40 * 28 * 28)
PICTURE_TOKENS = 60
NO_PICTURE = Part("text", UNUSABLE["image"])
NO_SOUND = Part("text", UNUSABLE["audio"])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a picture of 280 x 280 pixels in images/."""
    (tmp_path / "work" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    Image.new("RGB", (280, 280), (200, 0, 0)).save("images/red.jpg")
    return tmp_path / "work"


@pytest.fixture
def prepared(tmp_path: Path) -> Media:
    (tmp_path / "prepared").mkdir()
    return Media(tmp_path / "prepared", BUDGET, PICTURE_TOKENS, sound_seconds=2)


def write_sound(path: str, seconds: float, rate: int = 8000) -> str:
    Path(path).parent.mkdir(exist_ok=True)
    with wave.open(path, "wb") as file:
        file.setparams((1, 1, rate, 0, "NONE", ""))
        file.writeframes(bytes(128 + 60 * (i // 8 % 2) for i in range(round(seconds * rate))))
    return path


def one(prepared: Media, *parts: Part, seconds: float = 60) -> tuple[Part, ...]:
    [turn] = prepared.prepared((ChatTurn("user", parts),), seconds)
    return turn.parts


def size(prepared: Media, part: Part) -> int:
    """Tokens of a picture that was prepared."""
    with Image.open(prepared.folder / part.content) as image:
        return image.width * image.height // FACTOR**2


def test_a_file_is_found_from_here_and_in_the_folders_of_the_contract(here):
    (here / "images" / "deep").mkdir()
    (here / "images" / "deep" / "a.jpg").touch()
    (here / "b.jpg").touch()
    for name, found in (
        ("images/red.jpg", "images/red.jpg"),
        ("red.jpg", "images/red.jpg"),
        ("data/of/others/red.jpg", "images/red.jpg"),
        ("deep/a.jpg", "images/deep/a.jpg"),
        ("b.jpg", "b.jpg"),
        (str(here / "b.jpg"), "b.jpg"),
    ):
        assert find_file(name, "images") == here / found


@pytest.mark.parametrize("name", ["none.jpg", "images", "", "\0", "a" * 5000, "\ud83d.jpg"])
def test_what_is_no_file_is_told_in_a_sentence(name):
    with pytest.raises(KdslError, match="there is no such file here or in images/"):
        find_file(name, "images")


def test_pictures_of_a_turn_share_its_tokens(prepared):
    [alone] = one(prepared, Part("image", "red.jpg"))
    assert 25 <= size(prepared, alone) <= 40
    eight = one(prepared, *[Part("image", "red.jpg")] * 8)
    assert 4 <= size(prepared, eight[0]) <= PICTURE_TOKENS // 8


def test_each_file_is_prepared_once(prepared, here):
    first = one(prepared, Part("image", "red.jpg"), Part("text", "What is it?"))
    (here / "images" / "red.jpg").unlink()
    assert one(prepared, Part("image", "red.jpg"), Part("text", "And now?"))[0] == first[0]
    assert len(list(prepared.folder.iterdir())) == 1


def test_files_of_long_ago_are_deleted(prepared, monkeypatch):
    monkeypatch.setattr(media, "_KEPT", 2)
    for number in range(6):
        Image.new("RGB", (56, 56), (number, 0, 0)).save(f"images/{number}.png")
        [part] = one(prepared, Part("image", f"{number}.png"))
        [first] = one(prepared, Part("image", "0.png"))  # looked at again and again, so it stays
    assert {part.content, first.content} <= {path.name for path in prepared.folder.iterdir()}
    assert len(list(prepared.folder.iterdir())) <= 3


def test_a_broken_picture_is_a_text(prepared, here, caplog):
    (here / "images" / "broken.png").write_bytes(b"none")
    assert one(prepared, Part("image", "broken.png"), Part("image", "none.png")) == (NO_PICTURE, NO_PICTURE)
    assert "broken.png: not an image that a model can take" in caplog.text


def test_a_model_that_sees_nothing_is_shown_no_picture(prepared):
    blind = Media(prepared.folder, BUDGET, PICTURE_TOKENS, 2, sees=False)
    assert one(blind, Part("image", "red.jpg")) == (NO_PICTURE,)


pytest.importorskip("av", reason="needs the extra voice")


def test_of_a_long_sound_the_beginning_is_kept(prepared):
    write_sound("audios/long.wav", 5)
    [part] = one(prepared, Part("audio", "long.wav"))
    with wave.open(str(prepared.folder / part.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 1, 32_000)


def test_a_broken_sound_is_a_text(prepared, here, caplog):
    write_sound("audios/empty.wav", 0)
    (here / "audios" / "broken.ogg").write_bytes(b"OggS" + bytes(60))
    assert one(prepared, Part("audio", "broken.ogg"), Part("audio", "none.ogg")) == (NO_SOUND, NO_SOUND)
    assert one(prepared, Part("audio", "empty.wav")) == (NO_SOUND,)
    assert "broken.ogg: " in caplog.text and "empty.wav: " in caplog.text


def test_where_the_time_is_over_a_sound_is_not_decoded(prepared, caplog):
    write_sound("audios/a.wav", 1)
    assert one(prepared, Part("audio", "a.wav"), seconds=0) == (NO_SOUND,)
    assert "a.wav: there is no time to decode it" in caplog.text


def hang(path: Path, target: Path, seconds: float) -> None:
    time.sleep(3600)


def break_down(path: Path, target: Path, seconds: float) -> None:
    os.abort()


@pytest.mark.parametrize(("decoder", "seconds", "told"), [(hang, 1, "no time"), (break_down, 60, "ended by signal")])
def test_a_decoder_that_hangs_or_breaks_down_takes_nothing_with_it(
    prepared, monkeypatch, caplog, decoder, seconds, told
):
    write_sound("audios/a.wav", 1)
    monkeypatch.setattr(media, "cut_sound", decoder)
    assert one(prepared, Part("audio", "a.wav"), Part("image", "red.jpg"), seconds=seconds)[0] == NO_SOUND
    assert told in caplog.text


def test_the_loudest_samples_stay_what_they_are(tmp_path, here):
    path = write_sound("a.wav", 1, 16_000)
    cut_sound(Path(path), tmp_path / "cut.wav", 0.5)
    with wave.open(str(tmp_path / "cut.wav")) as file:
        samples = memoryview(file.readframes(100)).cast("h").tolist()
    assert max(samples) == pytest.approx(60 / 128 * 32767, abs=300) and min(samples) > -600
