"""Speech recognition on speech by espeak-ng: word error rate, seconds of speech a second of processor time.

The sentences are what customers say, in voices that are easy and hard to understand. Made speech is harder for
PocketSphinx than that of people, and says little about Whisper.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kdsl.audio.load import load_recogniser
from kdsl.audio.transcribe import transcribed
from kdsl.config import EMBEDDED_SPEECH
from kdsl.errors import KdslError
from kdsl.hosts import Consent, is_address

SENTENCES = (
    "where is my order",
    "i want a refund",
    "please cancel my order",
    "the screen is broken",
    "how can i return these shoes",
    "when will my package arrive",
    "i paid twice for the same thing",
    "can i change the address",
    "the size is too small",
    "is this phone still available",
    "i need to speak with a person",
    "what is the price with shipping",
    "the color is not what i expected",
    "my discount code does not work",
    "do you have this in black",
    "i never received the invoice",
)
VOICES = ("en-us+f3", "en-us", "en-us+m3", "en-gb")
SPEEDS = (130, 160)
"""Words a minute."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench transcribe", description=__doc__)
    parser.add_argument(
        "--speech", default=EMBEDDED_SPEECH, help="a recogniser, as `speech:` names it (default pocketsphinx)"
    )
    options = parser.parse_args(arguments)
    if shutil.which("espeak-ng") is None:
        raise KdslError("espeak-ng is not installed; install it with: apt-get install espeak-ng")
    by_hand = (options.speech,) if is_address(options.speech) else ()
    recogniser = load_recogniser(options.speech, Consent(Path.cwd(), by_hand))
    table = Table(title=f"{options.speech}: {len(SENTENCES)} sentences, each spoken at {SPEEDS} words a minute")
    for column in ("voice", "word error rate", "sentences without error", "speech / processor time"):
        table.add_column(column, justify="left" if column == "voice" else "right")
    for voice in VOICES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            said = {f"{speed}-{n}.wav": text for speed in SPEEDS for n, text in enumerate(SENTENCES)}
            for file, text in said.items():
                words = ["espeak-ng", "-v", voice, "-s", file.partition("-")[0], "-w", str(folder / file), text]
                subprocess.run(words, check=True)
            begin = time.process_time()
            found = list(transcribed(list(said), folder, recogniser))
            used = time.process_time() - begin
        heard = [each.transcript for each in found if each.transcript is not None]
        wrong = [errors(said[each.file].split(), plain(each.text).split()) for each in heard]
        words_said = sum(len(said[each.file].split()) for each in heard)
        speed = "–" if is_address(options.speech) else f"{sum(each.seconds for each in heard) / used:.1f}"
        table.add_row(voice, f"{sum(wrong) / words_said:.0%}", f"{wrong.count(0)} of {len(said)}", speed)
    Console().print(table)
    return 0


def plain(text: str) -> str:
    """Without punctuation and capitals."""
    return "".join(character if character.isalnum() or character == "'" else " " for character in text.lower())


def errors(said: list[str], heard: list[str]) -> int:
    """How many words have to be replaced, left out or added to make one of the other (Levenshtein distance)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]
