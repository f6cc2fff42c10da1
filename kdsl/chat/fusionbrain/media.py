"""Pictures and sounds of a dialogue as files that a model takes at once: found, decoded, small and short."""

import logging
import os
import threading
from collections import OrderedDict
from pathlib import Path
from time import monotonic

from kdsl.chat.dialogue import ChatTurn, Part
from kdsl.errors import KdslError
from kdsl.subprocess_call import Stopped, call_in_subprocess
from kdsl.vlm.pixels import FACTOR, PixelBudget, load_picture

log = logging.getLogger(__name__)

FOLDERS = {"image": "images", "audio": "audios"}
"""Of the contract: where files lie whose names do not lead to them from the working directory."""
UNUSABLE = {"image": "[a picture that cannot be shown]", "audio": "[a sound that cannot be heard]"}
"""What a model reads instead of a file that is missing or broken."""
_KEPT = 64
"""Files of earlier questions: the next turn of a dialogue shows its model the same ones again."""


class Media:
    """Prepares pictures and sounds in `folder`, each once for all turns of a dialogue."""

    def __init__(
        self, folder: Path, pixels: PixelBudget, picture_tokens: int, sound_seconds: float, sees: bool = True
    ) -> None:
        """All pictures of a turn together get about `picture_tokens` tokens; of a sound the first `sound_seconds` are
        kept. `sees`: whether the model takes pictures at all."""
        self.folder = folder
        self._sees = sees
        self._pixels = pixels
        self._picture_tokens = picture_tokens
        self._sound_seconds = sound_seconds
        self._known: OrderedDict[tuple[str, ...], str | None] = OrderedDict()
        """What was prepared → the file's name; None for what cannot be used. The latest come last."""
        self._made = 0

    def prepared(self, turns: tuple[ChatTurn, ...], seconds: float) -> tuple[ChatTurn, ...]:
        """The turns with files in `folder`, and a text for a file that cannot be used; it says why in the log.

        Decoding sounds takes at most `seconds`.
        """
        end = monotonic() + seconds
        while len(self._known) > _KEPT:
            _, name = self._known.popitem(last=False)
            if name is not None:
                (self.folder / name).unlink(missing_ok=True)
        return tuple(self._prepared(turn, end) for turn in turns)

    def _prepared(self, turn: ChatTurn, end: float) -> ChatTurn:
        pictures = len(turn.names("image"))
        most = min(self._pixels.max_pixels, self._picture_tokens * FACTOR**2 // max(pictures, 1))
        budget = PixelBudget(self._pixels.min_pixels, max(self._pixels.min_pixels, most))
        return ChatTurn(turn.role, tuple(self._part(part, budget, end) for part in turn.parts))

    def _part(self, part: Part, budget: PixelBudget, end: float) -> Part:
        if part.kind == "text":
            return part
        if part.kind == "image" and not self._sees:
            return Part("text", UNUSABLE["image"])
        key = (part.kind, part.content, str(budget.max_pixels) if part.kind == "image" else "")
        if key not in self._known:
            try:
                path = find_file(part.content, FOLDERS[part.kind])
                self._known[key] = self._picture(path, budget) if part.kind == "image" else self._sound(path, end)
            except KdslError as error:
                log.warning("left out: %s", error)
                self._known[key] = None
        self._known.move_to_end(key)
        name = self._known[key]
        return Part("text", UNUSABLE[part.kind]) if name is None else Part(part.kind, name)

    def _picture(self, path: Path, budget: PixelBudget) -> str:
        name = self._next("png")
        load_picture(path, budget).save(self.folder / name)
        return name

    def _sound(self, path: Path, end: float) -> str:
        """In a process of its own: a decoder that hangs or breaks down on a file takes nothing else with it."""
        name = self._next("wav")
        stop = threading.Event()
        timer = threading.Timer(max(0.0, end - monotonic()), stop.set)
        timer.daemon = True
        timer.start()
        try:
            call_in_subprocess(stop, cut_sound, path, self.folder / name, self._sound_seconds)
        except Stopped:
            raise KdslError(f"{path}: there is no time to decode it") from None
        finally:
            timer.cancel()
        return name

    def _next(self, ending: str) -> str:
        self._made += 1
        return f"{self._made}.{ending}"


def find_file(name: str, folder: str) -> Path:
    """The file of that name from the working directory, below `folder` there, or in it by the last part of the name.

    Raises KdslError where there is none.
    """
    for path in (Path(name), Path(folder, name), Path(folder, Path(name).name)):
        if "\0" not in name and os.path.isfile(path):
            return path.absolute()  # a decoder's process begins where this one did
    raise KdslError(f"{name!r:.200}: there is no such file here or in {folder}/")


def cut_sound(path: Path, target: Path, seconds: float) -> None:
    """Write the first `seconds` of a sound as a WAV file of one channel; KdslError where nothing can be heard."""
    from kdsl.audio.decoding import load_audio
    from kdsl.audio.wav import wav_bytes

    target.write_bytes(wav_bytes(load_audio(path, end=seconds)))
