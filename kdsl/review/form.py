"""The fields of a form, as a browser sends them, and whole numbers written in forms and addresses."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends
from starlette.requests import Request

from kdsl.errors import KdslError

_KIND = "application/x-www-form-urlencoded"
_MOST_FIELDS = 500
_MOST_DIGITS = 9
"""A larger number stands in none of the page's own forms, and Python refuses to read one of 5,000 digits."""


class Form:
    """The fields of a form; each is sent once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    async def of(cls, request: Request) -> "Form":
        """Raises KdslError for a body that the page's own forms do not send, rather than take it for an empty one."""
        body = await request.body()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind != _KIND:
            raise KdslError(f"a form is sent as {_KIND}, not as {kind[:60] or 'a body without a type'}")
        try:
            sent = parse_qs(
                body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
            )  # fmt: skip
        except ValueError as error:
            raise KdslError(f"the form cannot be read ({error})") from error
        for name, values in sent.items():
            if len(values) > 1:
                raise KdslError(f"the form has {name[:60]!r} {len(values)} times; send it once")
        return cls({name: value for name, [value] in sent.items()})

    def __getitem__(self, name: str) -> str:
        """The field's value; empty where it was not sent."""
        return self._values.get(name, "")

    def sent(self) -> dict[str, str]:
        """All fields."""
        return dict(self._values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def all(self, prefix: str) -> dict[str, str]:
        """The fields whose names begin with `prefix`, without it."""
        return {
            name.removeprefix(prefix): value for name, value in self._values.items() if name.startswith(prefix)
        }  # fmt: skip


Sent = Annotated[Form, Depends(Form.of)]
"""A parameter of a route: the form that was sent."""


def whole_number(text: str) -> int | None:
    """The number that `text` writes with at most nine digits 0 to 9; None for everything else.

    >>> whole_number("12"), whole_number("-1"), whole_number("9" * 5000)
    (12, None, None)
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
