"""What is said in the sounds of samples to predict: transcribed where they can be, counted where they cannot."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from kdsl.audio.load import require_speech
from kdsl.audio.transcribe import Transcriber, fill_transcripts
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.progress import Progress
from kdsl.sample import Sample

_log = logging.getLogger(__name__)

HELD = 2048
"""Transcripts of new sounds that are known at most, where they are kept in no file."""


class TranscriptFiller:
    """Adds transcripts of new sounds to `sidecars`, and to the sidecar file where the project has one; `tell` warns of
    sounds left without one.

    Those of sounds that go by their absolute path are kept in no file: next time there may be another sound.
    """

    def __init__(
        self,
        sidecars: Sidecars,
        folder: Path | None,
        sidecar: Path | None,
        transcriber: Transcriber,
        progress: Progress | None = None,
        keeping: bool = True,
    ) -> None:
        """`folder` holds the sounds. Without `keeping` the sidecar file stays as it is, of new sounds those that came
        last are known, and what transcribes stays ready for the next ones, until `close`. A sidecar that is a folder
        of results stays as it is, too.
        """
        self.sidecars = sidecars
        self.transcriber = transcriber
        self._folder = folder
        self._sidecar = sidecar
        self._progress = progress
        self._keeping = keeping
        self._found: dict[str, None] = {}
        """The sounds that may be forgotten, the one that came last standing last."""
        self._missing: dict[str, str] = {}
        """Sound → why it has no transcript."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Sound → why it could not be transcribed, of those that were tried since the last `tell`."""
        return self._missing

    def learn(self, known: Sidecars) -> None:
        """Take over what the sidecar file says by now; what was found since and it does not have is kept."""
        self.sidecars.transcripts.update(known.transcripts)

    def fill(self, samples: Sequence[Sample]) -> None:
        """Transcribe all sounds of `samples` that have no transcript yet.

        Raises KdslError where the recogniser cannot be loaded or reached; where it is not installed, the sounds are
        counted.
        """
        sounds = dict.fromkeys(audio for sample in samples for audio in sample.audio)
        new = [audio for audio in sounds if audio not in self.sidecars.transcripts and audio not in self._missing]
        if new and (reason := self._hindrance()):
            self._missing |= dict.fromkeys(new, reason)
        elif new:
            self._transcribe(new)
        if not self._keeping:
            self._forget(sounds)

    def close(self) -> None:
        """End what transcribes, if it was started."""
        self.transcriber.close()

    def tell(self) -> None:
        """Log one counted warning, if there is anything to warn of, and forget it: later the sound may be there."""
        if self._missing:
            audio, reason = next(iter(self._missing.items()))
            _log.warning(
                "%d sounds were taken as without words, the first being %s (%s)", len(self._missing), audio, reason
            )
            self._missing.clear()

    def _hindrance(self) -> str:
        """Why no sound can be transcribed; empty where they can be."""
        try:
            require_speech(self.transcriber.speech)
        except KdslError as error:
            return str(error)
        return ""

    def _transcribe(self, sounds: Sequence[str]) -> None:
        if not self._keeping:
            self._listen(sounds)
            return
        known, kept = self.sidecars.transcripts, [audio for audio in sounds if not os.path.isabs(audio)]
        with self.transcriber:
            if kept and self._folder is not None and self._sidecar is not None and not os.path.isdir(self._sidecar):
                found = fill_transcripts(kept, self._folder, self._sidecar, self.transcriber, self._progress, known)
                self._missing |= found.problems
            self._listen([audio for audio in sounds if audio not in known])

    def _listen(self, sounds: Sequence[str]) -> None:
        """Transcribe them for now, and write nothing."""
        if self._folder is None:
            self._missing |= {audio: "data.audio is not set" for audio in sounds if not os.path.isabs(audio)}
        readable = [audio for audio in sounds if audio not in self._missing]
        for each in self.transcriber.transcribed(readable, self._folder or Path()) if readable else ():
            if each.transcript is None:
                self._missing[each.file] = each.problem
            else:
                self.sidecars.transcripts[each.file] = each.transcript
                self._found[each.file] = None

    def _forget(self, sounds: Iterable[str]) -> None:
        """Note these sounds, which came now, and forget those that came longest ago where they are too many."""
        came = [audio for audio in sounds if audio in self._found]
        # A service transcribes in one thread and decides in another: what is here may be gone with the next line.
        for audio in came:
            self._found.pop(audio, None)
            self._found[audio] = None
        for audio in list(islice(self._found, max(0, len(self._found) - max(HELD, len(came))))):
            self._found.pop(audio, None)
            self.sidecars.transcripts.pop(audio, None)
