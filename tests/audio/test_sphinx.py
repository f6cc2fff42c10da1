"""PocketSphinx on speech that espeak-ng makes: words, their times, and nothing that is no word."""

import sys

import numpy as np
import pytest
from sounds import RATE, needs_espeak, needs_voice, silence, spoken, tone

from kdsl.audio.pieces import Piece
from kdsl.audio.sphinx import SphinxRecogniser
from kdsl.audio.transcript import Transcript
from kdsl.distribution import install_command
from kdsl.errors import KdslError

for _package in needs_voice:
    pytest.importorskip(_package)


@pytest.fixture(scope="module")
def recogniser() -> SphinxRecogniser:
    return SphinxRecogniser()


@needs_espeak
@pytest.mark.parametrize("text", ["I want a refund", "please cancel my order"])
def test_spoken_words_are_recognised_with_their_times(recogniser, text):
    sound = spoken(text)
    [heard] = recogniser.recognise([Piece(0.0, sound)])
    assert heard.text == text.lower()  # the dictionary's own word is `refund(2)`
    assert [word.word for word in heard.words] == text.lower().split()
    assert heard.language == "en"
    ends = [time for word in heard.words for time in (word.start, word.end)]
    assert ends == sorted(ends) and ends[0] >= 0 and ends[-1] <= len(sound) / RATE
    last = heard.words[-1]
    assert last.end - last.start > 0.3
    loud = np.flatnonzero(np.abs(sound) > 0.05) / RATE
    assert heard.words[0].start == pytest.approx(loud[0], abs=0.15)
    assert last.end == pytest.approx(loud[-1], abs=0.2)
    assert Transcript("a.wav", 2.0, heard.text, heard.words).times(0, 1) == (heard.words[0].start, heard.words[0].end)


@needs_espeak
def test_what_was_heard_before_makes_no_difference(recogniser):
    first, second = Piece(0.0, spoken("please cancel my order")), Piece(9.0, spoken("I want a refund"))
    told = recogniser.recognise([first, second, first])
    assert told[0] == told[2] == SphinxRecogniser().recognise([first])[0]
    assert told[1] == recogniser.recognise([Piece(0.0, second.samples)])[0]  # times are from the piece's beginning


def test_noise_and_what_is_short_are_no_words(recogniser):
    hiss = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    for sound in (hiss, silence(0.01), tone(0.05)):
        [heard] = recogniser.recognise([Piece(0.0, np.clip(sound, -1, 1))])
        assert (heard.text, heard.words, heard.language) == ("", (), "")
    assert recogniser.recognise([]) == []


def test_without_pocketsphinx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(KdslError) as raised:
        SphinxRecogniser()
    assert str(raised.value) == f"recognising speech needs PocketSphinx; install it with: {install_command('voice')}"
