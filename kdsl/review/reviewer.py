"""Who decides: the name that decisions are kept under."""

import getpass

from kdsl.errors import KdslError

_LONGEST_NAME = 60


def reviewer_name(name: str | None) -> str:
    """The name that decisions are kept under: the one given with --as, else the user's.

    Raises KdslError for a name that is empty, too long for the name of a log, or that nobody can read.
    """
    given = (_user_name() if name is None else name).strip()
    if not given:
        raise KdslError("who decides has no name; give one with --as NAME")
    if not given.isprintable() or len(given) > _LONGEST_NAME:
        raise KdslError(
            f"{given[:_LONGEST_NAME]!r} is no name to decide under; give one of at most {_LONGEST_NAME} visible "
            "characters with --as NAME"
        )
    return given


def _user_name() -> str:
    """Who sits at this computer; "reviewer" where it does not tell."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "reviewer"
