"""The words of the page: English ones stand in the templates and are the keys of chinese.json."""

from functools import cache
from pathlib import Path

from kdsl.files import read_json


def translate(words: str, language: str) -> str:
    """The words in the language; English where no translation is known."""
    return chinese().get(words, words) if language == "zh" else words


@cache
def chinese() -> dict[str, str]:
    """English → Chinese."""
    return read_json(Path(__file__).with_name("chinese.json"))
