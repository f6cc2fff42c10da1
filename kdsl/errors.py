"""The one error that a user sees as a sentence instead of a traceback."""

from enum import Enum

_LONGEST = 800
"""Characters of a sentence; a file may hold values of any length."""


class Hint(Enum):
    """What to do next: as it is said in Python, and as it is said on the command line and the review page."""

    INIT = (
        "name a project's kdsl.yaml, or make one with kdsl.Project.create(…)",
        "name a project's kdsl.yaml, or make one with `kdsl init`",
    )
    CHECK = "project.check() lists what is wrong", "`kdsl check` lists what is wrong"
    OCR = "call project.ocr()", "run `kdsl ocr`"
    TRANSCRIBE = "call project.transcribe()", "run `kdsl transcribe`"
    MINE = "call project.mine() first", "run `kdsl mine` first"
    MINE_AGAIN = "call project.mine() again", "run `kdsl mine` again"
    TRAIN = "call project.train() first", "run `kdsl train` first"
    TRAIN_AGAIN = "call project.train() again", "run `kdsl train` again"
    SET_BACK = "set it back, or call project.train() again", "set it back, or run `kdsl train` again"
    EVALUATE = "project.evaluate() keeps one", "`kdsl run` and `kdsl evaluate` keep one"
    RULES = "project.rules(…) holds all rules", "`kdsl rules list` shows all ids"

    def __init__(self, python: str, command: str) -> None:
        self.python = python
        self.command = command

    def __str__(self) -> str:
        return self.python


class KdslError(Exception):
    """What is wrong, in one sentence: the file, the place, the value, what would be right. The CLI exits with 2."""

    def __init__(self, sentence: str, hint: Hint | str = "") -> None:
        """`hint` ends the sentence: what to do about it. A `Hint` reads differently in Python and on the command line.

        A sentence that is too long to be read, for the value it names, is cut in its middle.
        """
        super().__init__(sentence, hint)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return self._told(str(self.hint))

    def in_commands(self) -> str:
        """The sentence for those who type commands."""
        return self._told(self.hint.command if isinstance(self.hint, Hint) else self.hint)

    def _told(self, hint: str) -> str:
        told = f"{self.sentence}; {hint}" if hint else self.sentence
        half = _LONGEST // 2
        return told if len(told) <= _LONGEST else f"{told[:half]} … {told[-half:]}"


def first_line(error: BaseException) -> str:
    """The first line of what somebody else's exception says, or its name where it says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__
