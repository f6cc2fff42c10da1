"""The body of a request: read within its limits of size and time, as JSON or as a form with files."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from kdsl.errors import KdslError
from kdsl.json_file import parse_json
from kdsl.serve.refusal import Refusal, too_busy

_AT_ONCE = 16
"""Bodies of the largest size that are in memory at the same time, all requests together."""
_IN_THREAD = 1 << 16
"""Bytes of a body that is large."""
_FORM = "multipart/form-data"
_JSON = ("application/json", "text/json")


@dataclass(frozen=True)
class Body:
    """What was sent."""

    value: dict[str, Any]
    """Of JSON the object, of a form its fields, each read as JSON."""
    files: dict[str, bytes] = field(default_factory=dict)
    """File name → content, of a form."""
    is_large: bool = False
    """Whether reading it would hold up other requests."""


class Intake:
    """Reads bodies, of which all requests together hold only so much in memory."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` of one body."""
        self._most = most_bytes
        self.held = 0
        """Bytes of bodies that are read or answered just now."""

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[Body]:
        """The body, which counts as held until the end of the context.

        Raises Refusal for one that is too large or in no known form, and for too many of them at once.
        """
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind not in (*_JSON, _FORM):
            raise Refusal(415, f"the body is {kind[:60]!r}; send application/json, or {_FORM} with files")
        packed = request.headers.get("content-encoding", "identity").strip().lower()
        if packed != "identity":
            raise Refusal(415, f"the body is packed as {packed[:60]!r}; send it as it is")
        held = _Held(self)
        try:
            content = await self._content(request, held)
            large = len(content) > _IN_THREAD
            if kind == _FORM:
                value, files = await _form(request, content)
                yield Body(value, files, large)
            elif large:
                yield Body(await asyncio.to_thread(_json_object, content), is_large=True)
            else:
                yield Body(_json_object(content))
        finally:
            self.held -= held.size

    async def _content(self, request: Request, held: "_Held") -> bytes:
        told = request.headers.get("content-length", "")
        if told.isdecimal() and len(told) < 20 and int(told) > self._most:
            raise self._too_large()
        parts: list[bytes] = []
        try:
            async for part in request.stream():
                held.add(len(part))
                if held.size > self._most:
                    raise self._too_large()
                parts.append(part)
        except ClientDisconnect as error:
            raise Refusal(400, "the body ended before its end") from error
        return b"".join(parts)

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body has more than {self._most} bytes (`serve.body`); send fewer samples at once")


class _Held:
    """The bytes of one body."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.size = 0

    def add(self, size: int) -> None:
        intake = self._intake
        if intake.held and intake.held + size > _AT_ONCE * intake._most:
            raise too_busy("too many large requests are being answered")
        intake.held += size
        self.size += size


async def _form(request: Request, content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """See `Body`."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    parser = MultiPartParser(request.headers, stream(), max_files=1000, max_fields=10, max_part_size=len(content))
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:
        reason = str(error).rstrip(".").lower()
        raise Refusal(400, f"the body is no {_FORM} that is taken: {reason}; let a library write it") from error
    value: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    try:
        for name, part in form.multi_items():
            if isinstance(part, UploadFile) and not _is_json(part):
                _require_first(files, part.filename or name, "file")
                files[part.filename or name] = await part.read()
            else:
                _require_first(value, name, "field")
                place = f"the field {name[:60]!r}"
                text = _text(await part.read(), place) if isinstance(part, UploadFile) else part
                value[name] = _json_value(text, place)
    finally:
        await form.close()
    return value, files


def _is_json(part: UploadFile) -> bool:
    """Whether a part with the name of a file is a field: JavaScript gives such a name to all that has a type."""
    return (part.content_type or "").partition(";")[0].strip().lower() in _JSON


def _require_first(found: Container[str], name: str, what: str) -> None:
    if name in found:
        raise Refusal(400, f"the {what} {name[:60]!r} is given twice; keep one of the two")


def _json_object(content: bytes) -> dict[str, Any]:
    place = "the body"
    text = _text(content, place)
    if not text.strip():
        raise Refusal(400, f'{place} is empty; send JSON like {{"samples": [{{"id": "1", "text": "…"}}]}}')
    value = _json_value(text, place)
    if not isinstance(value, dict):
        raise Refusal(400, f'{place} is no JSON object like {{"samples": [{{"id": "1", "text": "…"}}]}}')
    return value


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(400, f"{place}: byte {error.start} is not UTF-8; send it as UTF-8") from error


def _json_value(text: str, place: str) -> Any:
    try:
        return parse_json(text, Path(place))
    except KdslError as error:
        raise Refusal(400, error.in_commands()) from error
