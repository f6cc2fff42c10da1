"""Routes of pictures and sounds, by opaque ids."""

from fastapi import APIRouter
from starlette.responses import FileResponse, PlainTextResponse, Response

from kdsl.errors import KdslError
from kdsl.review.media import WAVE
from kdsl.review.page import Asked, Call
from kdsl.review.ranges import ranged

router = APIRouter()


@router.get("/image/{address}")
def image(call: Asked, address: str) -> Response:
    picture = call.site.media.picture(address)
    if picture is None:
        return PlainTextResponse("no such image", 404)
    headers = {"Cache-Control": "private, max-age=86400", "Content-Disposition": "inline"}
    return FileResponse(picture.path, media_type=picture.kind, headers=headers)


@router.head("/sound/{address}")
@router.get("/sound/{address}")
def sound(call: Asked, address: str) -> Response:
    """The file as it is, where browsers play such files."""
    return _sound(call, address, decoded=False)


@router.head("/sound/{address}/wav")
@router.get("/sound/{address}/wav")
def wave(call: Asked, address: str) -> Response:
    """The same as WAV, whatever the file is."""
    return _sound(call, address, decoded=True)


def _sound(call: Call, address: str, decoded: bool) -> Response:
    found = call.site.media.sound(address)
    if found is None or not (decoded or found.kind):
        return PlainTextResponse("no such sound", 404)
    try:
        return ranged(call.request, call.site.media.opened(found, decoded), WAVE if decoded else found.kind)
    except KdslError:  # its sentence names the file
        return PlainTextResponse("this sound cannot be played", 422)
