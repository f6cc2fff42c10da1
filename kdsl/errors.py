"""The one error that a user sees as a sentence instead of a traceback."""

_LONGEST = 800
"""Characters of a sentence; a file may hold values of any length."""


class KdslError(Exception):
    """What is wrong, in one sentence: the file, the place, the value, what would be right. The CLI exits with 2."""

    def __init__(self, sentence: str) -> None:
        """A sentence that is too long to be read, for the value it names, is cut in its middle."""
        half = _LONGEST // 2
        super().__init__(sentence if len(sentence) <= _LONGEST else f"{sentence[:half]} … {sentence[-half:]}")


def first_line(error: BaseException) -> str:
    """The first line of what somebody else's exception says, or its name where it says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__
