"""Answers that hold a range of a file, as players ask for them: RFC 9110, section 14, one range at a time."""

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

_RANGE = re.compile(r"bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*", re.IGNORECASE)
_AT_ONCE = 1 << 18
"""Bytes that are in memory at once."""
_LONGEST = 18
"""Digits of a number in a header; more are more than any file has bytes."""


def asked_range(header: str, size: int) -> tuple[int, int] | None:
    """The bytes [start, end) that a `Range` header asks for of `size`; None where all of them are to be sent.

    They are for several ranges, which a server need not know, and for what is no range. A range without a byte of the
    file in it is empty: start = end = 0.

    >>> asked_range("bytes=2-4", 10), asked_range("bytes=-3", 10), asked_range("bytes=10-", 10)
    ((2, 5), (7, 10), (0, 0))
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = (_number(digits) for digits in found.groups())
    if first is None:
        start, end = max(size - (last or 0), 0), size
    else:
        if last is not None and last < first:
            return None
        start, end = first, size if last is None else min(last + 1, size)
    return (start, end) if start < end else (0, 0)


def _number(digits: str) -> int | None:
    """None for an empty text; what no file has bytes of is one and the same large number."""
    if len(digits) > _LONGEST:
        return 10**_LONGEST
    return int(digits) if digits else None


def ranged(request: Request, file: BinaryIO, kind: str) -> Response:
    """The range of the file that the request asks for, or all of it; for HEAD what GET would say, without the bytes.

    `kind` is its media type. The file is closed once everything is sent.
    """
    size = os.fstat(file.fileno()).st_size
    asked = asked_range(request.headers.get("range", ""), size)
    start, end = asked or (0, size)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=86400",
        "Content-Disposition": "inline",
        "Content-Length": str(end - start),
        "Content-Type": kind,
    }
    if asked is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if asked != (0, 0) and request.method != "HEAD":
        return _Part(file, start, end, 200 if asked is None else 206, headers)
    file.close()
    if asked == (0, 0):
        return PlainTextResponse(f"there are {size} bytes", 416, {"Content-Range": f"bytes */{size}"})
    return Response(None, 200 if asked is None else 206, headers)


class _Part(StreamingResponse):
    """The bytes [start, end) of a file, which is closed in the end, also where the client goes away before."""

    def __init__(self, file: BinaryIO, start: int, end: int, status: int, headers: dict[str, str]) -> None:
        super().__init__(_pieces(file, start, end), status, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    # Several answers may read one file, and share its position: none of them moves it.
    while start < end and (piece := os.pread(file.fileno(), min(_AT_ONCE, end - start), start)):
        yield piece
        start += len(piece)
