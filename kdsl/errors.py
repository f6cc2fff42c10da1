"""The one error that a user sees as a sentence instead of a traceback."""


class KdslError(Exception):
    """What is wrong, in one sentence: the file, the place, the value, what would be right. The CLI exits with 2."""
