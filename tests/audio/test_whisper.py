"""A real Whisper, of tiny size and trained here: texts, languages, words with times, and what cannot be loaded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from sounds import tone  # noqa: E402
from tiny_whisper import SECONDS, said, text_of, train_tiny_whisper  # noqa: E402

from kdsl.audio.pieces import Piece  # noqa: E402
from kdsl.audio.transcript import Word  # noqa: E402
from kdsl.audio.whisper import WhisperRecogniser, timed_words  # noqa: E402
from kdsl.errors import KdslError  # noqa: E402

PHRASES = [["low"], ["high"], ["升"], ["low", "high"], ["high", "low"], ["升", "升"], ["high", "high"], ["low", "low"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return train_tiny_whisper(tmp_path_factory.mktemp("models") / "tiny-whisper")


@pytest.fixture(scope="module")
def recogniser(folder) -> WhisperRecogniser:
    return WhisperRecogniser(str(folder))


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    """Every phrase, as it was never heard in training."""
    rng = np.random.default_rng(11)
    return [Piece(5.0, said(words, rng)) for words in PHRASES]


def changed(folder: Path, tmp_path: Path, file: str, **values) -> str:
    """A copy with other values in one of its files; None takes a value out."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    path = copy / file
    kept = {key: value for key, value in (json.loads(path.read_text()) | values).items() if value is not None}
    path.write_text(json.dumps(kept))
    return str(copy)


def test_new_sounds_are_transcribed_in_their_language(recogniser, pieces):
    told = recogniser.recognise(pieces)
    assert [heard.text for heard in told] == [text_of(words).strip() for words in PHRASES]
    assert [heard.language for heard in told] == ["zh" if "升" in words else "en" for words in PHRASES]
    assert (recogniser.name, recogniser.longest) == ("tiny-whisper", SECONDS)


def test_words_come_with_times_within_their_piece(recogniser, pieces):
    for words, piece, heard in zip(PHRASES, pieces, recogniser.recognise(pieces), strict=True):
        assert [word.word for word in heard.words] == words
        times = [time for word in heard.words for time in (word.start, word.end)]
        assert times == sorted(times) and times[0] >= 0 and times[-1] <= piece.seconds


def test_what_is_said_in_a_piece_does_not_depend_on_the_others(recogniser, pieces):
    alone = [recogniser.recognise([piece])[0] for piece in pieces]
    together = recogniser.recognise(pieces)
    assert [(heard.text, heard.language) for heard in alone] == [(heard.text, heard.language) for heard in together]
    assert recogniser.recognise([]) == []


def test_a_checkpoint_that_knows_no_times_gives_text_alone(folder, tmp_path, pieces):
    without = WhisperRecogniser(changed(folder, tmp_path, "generation_config.json", alignment_heads=None))
    told = without.recognise(pieces[:4])
    assert [heard.text for heard in told] == ["low", "high", "升", "low high"]
    assert [heard.words for heard in told] == [()] * 4


def test_a_checkpoint_of_english_alone_is_told_no_language(folder, tmp_path, pieces):
    english = {"is_multilingual": False, "lang_to_id": None, "task_to_id": None}
    only = WhisperRecogniser(changed(folder, tmp_path, "generation_config.json", **english))
    [heard] = only.recognise(pieces[:1])
    assert heard.language == ""


def test_batches_are_halved_when_memory_runs_out(recogniser, pieces, monkeypatch):
    sizes = []
    model = recogniser._loaded.model
    generate = model.generate

    def out_of_memory(features, **settings):
        sizes.append(len(features))
        if len(features) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(features, **settings)

    expected = [heard.text for heard in recogniser.recognise(pieces)]
    monkeypatch.setattr(model, "generate", out_of_memory)
    assert [heard.text for heard in recogniser.recognise(pieces)] == expected
    assert sizes == [8, 4, 2, 2, 4, 2, 2]

    def never(features, **settings):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "generate", never)
    with pytest.raises(KdslError, match=r"tiny-whisper: out of memory with one piece of \d seconds; take a smaller"):
        recogniser.recognise(pieces[:2])


def test_what_is_no_whisper_is_one_sentence(folder, tmp_path):
    cases = {
        "missing": "no such model directory; name a directory, a hub id such as",
        "empty": "holds no model (config.json is missing)",
        "bert": "is a model of the kind bert; speech takes a Whisper model",
        "weights": "cannot be loaded (",
        "cut": "the weight files lack ",
    }
    for name in cases:
        if name != "missing":
            (tmp_path / name).mkdir()
    (tmp_path / "bert/config.json").write_text(json.dumps({"model_type": "bert"}))
    for name in ("weights", "cut"):
        shutil.copytree(folder, tmp_path / name, dirs_exist_ok=True)
    (tmp_path / "weights/model.safetensors").write_bytes(b"no weights")
    from safetensors.torch import load_file, save_file

    tensors = load_file(tmp_path / "cut/model.safetensors")
    tensors.pop("model.encoder.conv1.weight")
    save_file(tensors, tmp_path / "cut/model.safetensors", {"format": "pt"})
    for name, sentence in cases.items():
        with pytest.raises(KdslError) as raised:
            WhisperRecogniser(str(tmp_path / name))
        assert str(raised.value).startswith(f"{tmp_path / name}: ") and sentence in str(raised.value)


def test_code_that_comes_with_a_model_is_never_run(folder, tmp_path):
    copy = changed(folder, tmp_path, "config.json", auto_map={"AutoConfig": "evil.Evil"}, model_type="evil")
    (Path(copy) / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(KdslError):
        WhisperRecogniser(copy)
    assert not (tmp_path / "ran").exists()


def test_a_sound_that_is_no_word_it_knows_still_gives_some_text(recogniser):
    [heard] = recogniser.recognise([Piece(0.0, tone(0.5, 7000))])
    assert isinstance(heard.text, str)


TOKENS = {1: " whe", 2: "re", 3: " is", 4: "?", 5: "订", 6: "单", 7: " it", 8: "’s"}


def decode(tokens: list[int]) -> str:
    """Tokens 21 and 22 are a character together."""
    if tokens == [21]:
        return "\ufffd"
    return "号" if tokens == [21, 22] else "".join(TOKENS[token] for token in tokens)


@pytest.mark.parametrize(
    ("ids", "ends", "words"),
    [
        ([1, 2, 3], [0.2, 0.5, 0.7], [Word("where", 0.0, 0.5), Word("is", 0.5, 0.7)]),
        ([1, 2, 3, 4], [0.2, 0.5, 0.7, 0.9], [Word("where", 0.0, 0.5), Word("is?", 0.5, 0.9)]),
        ([5, 6, 4], [0.3, 0.6, 0.8], [Word("订", 0.0, 0.3), Word("单?", 0.3, 0.8)]),
        ([5, 21, 22], [0.3, 0.4, 0.8], [Word("订", 0.0, 0.3), Word("号", 0.3, 0.8)]),
        ([21, 22, 6], [0.3, 0.4, 0.8], [Word("号", 0.0, 0.4), Word("单", 0.4, 0.8)]),
        ([3, 5], [0.3, 0.6], [Word("is", 0.0, 0.3), Word("订", 0.3, 0.6)]),
        ([7, 8], [0.3, 0.6], [Word("it’s", 0.0, 0.6)]),
        ([3, 3], [0.6, 0.2], [Word("is", 0.0, 0.6), Word("is", 0.6, 0.6)]),
        ([3, 3], [0.6, 7.0], [Word("is", 0.0, 0.6), Word("is", 0.6, 2.0)]),
        ([], [], []),
    ],
    ids=["spaces", "punctuation", "Chinese", "half a character", "the first in halves", "both", "apostrophe",
         "never back", "never behind the piece", "nothing"],
)  # fmt: skip
def test_tokens_become_words_with_times(ids, ends, words):
    assert list(timed_words(decode, ids, ends, 2.0)) == words
