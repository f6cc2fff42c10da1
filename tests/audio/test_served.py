"""A Whisper behind a server: what is sent, what is made of its answers, and what goes wrong."""

import pytest
from sounds import tone
from speech_server import speech_server

from kdsl.audio.pieces import Piece
from kdsl.audio.recogniser import Heard
from kdsl.audio.served import ServedRecogniser
from kdsl.audio.transcript import Word
from kdsl.errors import KdslError
from kdsl.hosts import Consent

LOW, HIGH = Piece(7.0, tone(1.5, 300)), Piece(0.0, tone(2.0, 1200))


def test_each_piece_is_sent_as_wav_and_words_come_with_times():
    with speech_server() as server:
        told = ServedRecogniser(server.url).recognise([LOW, HIGH])
    low = Heard("low tone", (Word("low", 0.25, 0.5), Word("tone", 0.5, 1.5)), "english")
    high = Heard("高 tone", (Word("高", 0.25, 0.5), Word("tone", 0.5, 2.0)), "english")
    assert told == [low, high]  # no word ends behind its piece
    assert sorted(form["file"] for form in server.forms) == [
        ("sound.wav", "audio/wav", 16_000, 1.5),
        ("sound.wav", "audio/wav", 16_000, 2.0),
    ]
    assert {form["model"] for form in server.forms} == {"whisper-1"}
    assert {form["response_format"] for form in server.forms} == {"verbose_json"}


def test_a_server_that_refuses_times_of_words_is_asked_for_those_of_phrases():
    with speech_server(refuses=("timestamp_granularities[]",)) as server:
        recogniser = ServedRecogniser(server.url)
        [heard] = recogniser.recognise([LOW])
        assert heard == Heard("low tone", (Word("low tone", 0.25, 1.5),), "english")
        asked = len(server.forms)
        recogniser.recognise([HIGH])
        assert (asked, len(server.forms)) == (2, 3)  # it is not asked for them again


def test_a_server_that_knows_plain_answers_alone_gives_text_without_times():
    with speech_server(refuses=("verbose_json",)) as server:
        assert ServedRecogniser(server.url).recognise([LOW]) == [Heard("low tone")]
    assert [form["response_format"] for form in server.forms] == ["verbose_json", "verbose_json", "json"]


def test_a_piece_that_is_refused_in_every_form_is_told_and_the_others_are_kept():
    with speech_server() as server:
        recogniser = ServedRecogniser(f"{server.url}#whisper-1")
        assert recogniser.name == "whisper-1"
        server.refuses = ("json", "verbose_json")
        assert recogniser.recognise([LOW]) == ["the server refuses it: json is not supported"]
        server.refuses = ()
        [heard] = recogniser.recognise([LOW])
        assert heard.words  # what was refused together with everything else is asked for again


@pytest.mark.parametrize(
    "words",
    ["no list", [{"word": "low"}], [{"word": "low", "start": -1, "end": 2}], [{"word": 3, "start": 0, "end": 1}],
     [{"word": "low", "start": 2.0, "end": 1.0}], [{"word": "low", "start": float("nan"), "end": 1.0}]],
)  # fmt: skip
def test_times_that_make_no_sense_are_left_out(words):
    with speech_server(faults=[{"text": "low", "words": words}]) as server:
        assert ServedRecogniser(server.url).recognise([LOW]) == [Heard("low")]


def test_nothing_said_has_no_words_and_no_language():
    with speech_server(faults=[{"text": " ", "language": "english", "words": []}]) as server:
        assert ServedRecogniser(server.url).recognise([LOW]) == [Heard("")]


def test_faults_that_pass_are_tried_again():
    with speech_server(faults=[503, 429]) as server:
        [heard] = ServedRecogniser(server.url).recognise([LOW])
        assert heard.text == "low tone"
        assert len(server.forms) == 3


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (401, "/audio/transcriptions: the server answers 401 (out of order); no key was sent"),
        (404, "/audio/transcriptions: the server answers 404 (out of order); the address of an OpenAI-compatible"),
        ({"said": "low"}, "/audio/transcriptions: an answer without a text; is this the address of an OpenAI"),
        (["low"], "the server answers '[\"low\"]' instead of a JSON object"),
    ],
)
def test_a_server_that_does_not_transcribe_is_one_sentence(fault, sentence):
    with speech_server(faults=[fault]) as server, pytest.raises(KdslError) as raised:
        ServedRecogniser(server.url).recognise([LOW])
    assert str(raised.value).startswith(server.url) and sentence in str(raised.value)


def test_a_server_that_is_not_this_machine_takes_a_yes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(KdslError, match=r"speech.example: is not this machine"):
        ServedRecogniser("http://speech.example/v1", Consent(tmp_path)).recognise([LOW])
    with pytest.raises(KdslError, match="is not this machine, and no project asks for it"):
        ServedRecogniser("http://speech.example/v1").recognise([LOW])


def test_the_server_gets_the_key_that_belongs_to_it_and_no_pieces_ask_nothing(monkeypatch):
    with speech_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        recogniser = ServedRecogniser(server.url)
        assert recogniser.recognise([]) == [] and server.forms == []
        recogniser.recognise([LOW])
        assert server.keys == ["Bearer secret"]
