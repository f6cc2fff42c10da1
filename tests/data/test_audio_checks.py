"""What `kdsl check` finds about sounds, one by one."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from kdsl.data.audio_checks import LONG_SECONDS, Sounds, check_audio
from kdsl.data.checks import check_samples
from kdsl.data.finding import Finding
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("t", (Label("a"), Label("b")))


def heard(identity: str, *sounds: str, text: str = "", label: str | None = "a") -> Sample:
    return Sample(identity, "t", (Turn("user", text, (), sounds),), (), label, audio=sounds)


def listen(path: Path) -> SimpleNamespace:
    """A file holds its problem, what is told of it, and its seconds."""
    problem, detail, seconds = path.read_text().split("|")
    return SimpleNamespace(problem=problem or None, detail=detail, seconds=float(seconds))


@pytest.fixture
def found(tmp_path) -> Callable[..., dict[tuple[str, str], Finding]]:
    """Findings by kind and split of sounds in tmp_path/audio, of which `files` says what they hold."""
    folder = tmp_path / "audio"
    folder.mkdir()

    def found(splits, sounds=None, **files):
        for name, content in files.items():
            (folder / f"{name}.wav").write_text(content)
        all_of = sounds or Sounds(folder, listen, {f"{name}.wav" for name in files})
        findings = list(check_audio(splits, all_of))
        assert len({(each.kind, each.split) for each in findings}) == len(findings)
        return {(each.kind, each.split): each for each in findings}

    return found


def test_sounds_that_can_be_heard_and_are_transcribed_have_no_findings(found):
    assert found({"train": [heard("1", "a.wav"), heard("2", "b.wav")]}, a="||3.2", b="||1800") == {}
    assert found({"train": [heard("1")]}, Sounds()) == {}


@pytest.mark.parametrize(
    ("content", "kind", "example"),
    [
        ("unreadable|is empty|0", "unreadable-audio", "a.wav (is empty)"),
        ("damaged|it is cut off|2", "damaged-audio", "a.wav (it is cut off)"),
        ("silent|nothing can be heard|2", "silent-audio", "a.wav (nothing can be heard)"),
        ("video|its sound track is taken|2", "video-audio", "a.wav (its sound track is taken)"),
        ("long||7200", "endless-audio", "a.wav"),
        (f"||{LONG_SECONDS + 60}", "long-audio", "a.wav (31 minutes)"),
    ],
)
def test_each_problem_is_counted_with_its_files(found, content, kind, example):
    findings = found({"train": [heard("1", "a.wav", "b.wav"), heard("2", "a.wav")]}, a=content, b="||1")
    assert [*findings] == [(kind, "train")]
    assert (findings[kind, "train"].count, findings[kind, "train"].examples) == (1, (example,))


def test_missing_files_and_those_that_lie_elsewhere_are_not_opened(found, tmp_path):
    (tmp_path / "secret.wav").write_text("||1")
    (tmp_path / "audio/link.wav").symlink_to(tmp_path / "secret.wav")
    (tmp_path / "audio/folder").mkdir()
    samples = [heard("1", "gone.wav", "link.wav", "folder")]
    findings = found({"test": samples}, Sounds(tmp_path / "audio", listen, {"gone.wav", "link.wav", "folder"}))
    assert {kind: each.examples for kind, each in findings.items()} == {
        ("missing-audio", "test"): ("gone.wav",),
        ("outside-audio", "test"): ("link.wav",),
        ("unreadable-audio", "test"): ("folder",),
    }


def test_sounds_without_a_transcript_are_told_by_split(found, tmp_path):
    splits = {"train": [heard("1", "a.wav", "b.wav")], "test": [heard("2", "b.wav")]}
    findings = found(splits, Sounds(tmp_path / "audio", listen, {"a.wav"}), a="||1", b="||1")
    assert [(split, each.count, each.examples) for (_, split), each in findings.items()] == [
        ("train", 1, ("b.wav",)), ("test", 1, ("b.wav",)),
    ]  # fmt: skip
    assert {kind for kind, _ in findings} == {"no-transcripts"}


def test_where_no_sidecar_is_named_that_is_one_finding(found, tmp_path):
    findings = found({"train": [heard("1", "a.wav")]}, Sounds(tmp_path / "audio", listen), a="||1")
    assert findings["no-transcripts", ""].message.startswith("sounds count as without words, as data.transcripts is n")


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (None, "data.audio is not set, so that no sound can be found"),
        (Path("/nowhere"), "the folder /nowhere does not exist, so that no sound can be found"),
    ],
)
def test_without_a_folder_that_is_all_that_is_told(found, folder, message):
    findings = found({"train": [heard("1", "a.wav", "b.wav")]}, Sounds(folder, listen))
    assert [(each.kind, each.count, each.message) for each in findings.values()] == [("no-audio-folder", 2, message)]


def test_where_nothing_can_decode_files_are_looked_for_all_the_same(found, tmp_path):
    samples = [heard("1", "a.wav", "gone.wav")]
    findings = found({"train": samples}, Sounds(tmp_path / "audio", None, {"a.wav", "gone.wav"}), a="silent||1")
    assert [*findings] == [("missing-audio", "train"), ("unheard-audio", "")]


@pytest.fixture
def checked(tmp_path):
    """All findings by kind of training and test samples, whose sounds lie in tmp_path."""

    def checked(train, test=()):
        sounds = Sounds(
            tmp_path, lambda path: SimpleNamespace(problem=None, detail="", seconds=1.0), {"a.wav", "b.wav"}
        )
        report = check_samples({"train": train, "test": list(test)}, [TASK], None, sounds=sounds)
        return {each.kind: each for each in report.findings if each.kind not in ("few-samples", "missing-audio")}

    return checked


class TestSamples:
    def test_one_of_sounds_alone_holds_something_to_classify(self, checked):
        train = [heard("1", "a.wav"), Sample("2", "t", (), (), "b", audio=("b.wav",)), heard("3", text="x", label="b")]
        assert checked(train) == {}
        assert checked([*train, heard("4")])["empty-dialogues"].examples == ("4",)

    def test_a_user_who_sends_a_sound_says_something(self, checked):
        answered = Sample("1", "t", (Turn("user", "", (), ("a.wav",)), Turn("agent", "ok")), (), "a", audio=("a.wav",))
        silent = Sample("2", "t", (Turn("user", ""), Turn("agent", "no")), (), "b")
        assert checked([answered, silent])["no-user-turn"].examples == ("2",)

    def test_a_mark_without_a_sound_is_told(self, checked):
        findings = checked([heard("1", text="hear <audio>"), heard("2", text="see", label="b")])
        assert findings["audio-placeholders"].message == "texts hold an <audio> for which no file is listed"
        assert "placeholders" not in findings

    def test_names_that_give_the_label_away_are_told(self, checked):
        task = Task("t", (Label("refund"), Label("size")))
        train = [heard(str(n), f"{label}-{n}.wav", label=label) for n, label in enumerate(["refund", "size"] * 4)]
        report = check_samples({"train": train}, [task], None)
        [finding] = [each for each in report.findings if each.kind == "giveaway"]
        assert finding.message.startswith("sound file names give the label away: hold the name of their label")

    def test_the_same_words_with_other_sounds_are_no_repeats(self, checked, tmp_path):
        (tmp_path / "a.wav").write_bytes(b"one")
        (tmp_path / "b.wav").write_bytes(b"two")
        train = [heard("1", "a.wav", text="[voice]"), heard("2", "b.wav", text="[voice]", label="b")]
        assert checked(train) == {}
        (tmp_path / "b.wav").write_bytes(b"one")
        assert checked(train)["contradictory-labels"].examples == ("1: a, 2: b",)

    def test_test_samples_that_play_what_training_samples_play_are_near_duplicates(self, checked, tmp_path):
        train = [heard("1", "a.wav"), heard("2", "b.wav", text="please listen to this", label="b")]
        told = checked(
            train, [heard("3", "a.wav"), heard("4", "a.wav", text="please listen to this"), heard("5", "c")]
        )
        assert told["near-duplicates"].examples == ("3 like 1",)
        for name in ("a.wav", "c"):
            (tmp_path / name).write_bytes(b"the same")
        assert checked(train, [heard("5", "c")])["near-duplicates"].examples == ("5 like 1",)
