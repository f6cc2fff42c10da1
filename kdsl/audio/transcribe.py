"""Writing down what is said in sounds: each once, in parallel, one finished line of the sidecar at a time."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from kdsl.audio.decoding import LONGEST_SECONDS, RATE, Samples, audio_facts, open_sound, sound_path
from kdsl.audio.load import load_recogniser, require_speech
from kdsl.audio.pieces import Piece, pieces_of
from kdsl.audio.recogniser import Heard, Recogniser
from kdsl.audio.transcript import Transcript, Word, read_transcripts, transcript_record
from kdsl.config import EMBEDDED_SPEECH
from kdsl.errors import KdslError
from kdsl.hosts import Consent
from kdsl.json_file import append_jsonl
from kdsl.language import holds_chinese
from kdsl.processes import ignore_interrupts, worker_pool
from kdsl.progress import Progress, track


@dataclass
class TranscribeOutcome:
    """How many sounds were transcribed now and before, and what was wrong with others: sound → reason."""

    transcribed: int = 0
    transcribed_before: int = 0
    silent: int = 0
    """Of those transcribed now, how many in which nothing is said."""
    notes: dict[str, str] = field(default_factory=dict)
    """What is odd about sounds that were transcribed: videos, and files of which only a part can be decoded."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why others were not."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What came of one sound."""

    file: str
    transcript: Transcript | None
    """None where there is a problem."""
    problem: str = ""
    note: str = ""
    """What is odd about a sound that was transcribed nevertheless."""


class Transcriber:
    """Transcribes sounds as they come, with a recogniser that is loaded with the first sound and stays.

    A context manager: what it started ends with it, at once where the work in it fails or is interrupted.
    """

    def __init__(self, speech: str, consent: Consent | None = None, workers: int = 1) -> None:
        """`speech` names a recogniser as kdsl.yaml does; the embedded one runs in `workers` processes.

        Nothing is loaded yet. `consent` is for a server that is not this machine.
        """
        self.speech = speech
        self._consent = consent
        self._workers = workers
        self._stack: ExitStack | None = None
        self._pool: ProcessPoolExecutor | None = None
        self._recogniser: Recogniser | None = None

    def transcribed(self, names: Sequence[str], folder: Path) -> Iterator[Transcribed]:
        """What came of each sound, in the order of `names`, which are named as for `sound_path`.

        Raises KdslError for a recogniser that is not installed, cannot be loaded or not be reached, and when a
        process dies.
        """
        require_speech(self.speech)
        if self.speech != EMBEDDED_SPEECH:
            if self._recogniser is None:
                self._recogniser = load_recogniser(self.speech, self._consent)
            yield from transcribed(names, folder, self._recogniser)
            return
        if self._pool is None:
            self._stack = ExitStack()
            self._pool = self._stack.enter_context(worker_pool(self._workers, _start_worker))
        try:
            yield from self._pool.map(_transcribe, [(name, folder) for name in names])
        except BrokenProcessPool as error:
            self.close()
            raise KdslError(
                "a process that transcribes died, perhaps for lack of memory", "try again, with fewer workers"
            ) from error

    def close(self) -> None:
        """End what was started."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, self._stack, self._pool, self._recogniser = self._stack, None, None, None
        if stack is not None:
            stack.__exit__(kind, error, trace)


def fill_transcripts(
    names: Sequence[str],
    folder: Path,
    sidecar: Path,
    transcriber: Transcriber,
    progress: Progress | None = None,
    known: dict[str, Transcript] | None = None,
) -> TranscribeOutcome:
    """Write down what is said in every sound that `sidecar` does not have yet, and append it there.

    `names` are as for `sound_path`. `known` is what the sidecar holds, where that was read already; the new
    transcripts are added to it. Sounds that cannot be read are counted and tried again next time. Raises KdslError as
    `Transcriber.transcribed` does, and when the sidecar cannot be read or written; KeyboardInterrupt says what is
    done. All that is done is kept.
    """
    with append_jsonl(sidecar) as append:
        known = read_transcripts(sidecar) if known is None else known
        missing = [name for name in dict.fromkeys(names) if name not in known]
        outcome = TranscribeOutcome(transcribed_before=len(set(names)) - len(missing))
        try:
            found = transcriber.transcribed(missing, folder) if missing else iter(())
            for each in track(found, "Transcribing", len(missing), progress):
                if each.transcript is None:
                    outcome.problems[each.file] = each.problem
                    continue
                append(transcript_record(each.transcript))
                known[each.file] = each.transcript
                outcome.transcribed += 1
                outcome.silent += not each.transcript.text
                if each.note:
                    outcome.notes[each.file] = each.note
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{outcome.transcribed} transcripts are in {sidecar}; run again to go on"
            ) from None
        except KdslError as error:
            if not outcome.transcribed:
                raise
            done = f"{outcome.transcribed} new transcripts are in {sidecar}"
            raise KdslError(f"{error.sentence}; {done}", error.hint) from error
    return outcome


def transcribed(names: Iterable[str], folder: Path, recogniser: Recogniser) -> Iterator[Transcribed]:
    """What came of each sound, in the order of `names`; the recogniser is given pieces of several sounds at once.

    Raises KdslError where the recogniser does.
    """
    open_sounds: deque[_Listened] = deque()
    batch: list[tuple[_Listened, Piece]] = []

    def recognise() -> None:
        found = recogniser.recognise([piece for _, piece in batch])
        for (sound, piece), heard in zip(batch, found, strict=True):
            sound.add(piece, heard)
        batch.clear()

    for name in names:
        sound = _Listened(name)
        open_sounds.append(sound)
        for piece in sound.pieces(folder, recogniser.longest):
            batch.append((sound, piece))
            if len(batch) >= recogniser.at_once:
                recognise()
        while open_sounds and open_sounds[0].done:
            yield open_sounds.popleft().result(recogniser.name)
    if batch:
        recognise()
    for sound in open_sounds:
        yield sound.result(recogniser.name)


class _Listened:
    """A sound that is being transcribed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pieces = 0
        self._read = False
        self._samples = 0
        self._said: list[tuple[float, Heard]] = []
        """Where pieces begin, in seconds, and what is said in them."""
        self._problem = self._note = ""

    def pieces(self, folder: Path, longest: float) -> Iterator[Piece]:
        """Decode it; a file that cannot be is a problem of this sound."""
        try:
            path = sound_path(folder, self._name)
            with open_sound(path) as sound:
                if sound.claimed > LONGEST_SECONDS and (facts := audio_facts(path)).problem == "long":
                    raise KdslError(facts.detail, "cut it")  # known before hours of it are transcribed
                for piece in pieces_of(self._counted(sound.blocks()), longest):
                    self._pieces += 1
                    yield piece
        except KdslError as error:
            self._problem = str(error).removeprefix(f"{folder / self._name}: ")
        else:
            self._note = sound.damage or ("a video, whose sound track was taken" if sound.video else "")
        self._read = True

    def add(self, piece: Piece, heard: Heard | str) -> None:
        """What is said in one of its pieces, or why nobody knows."""
        self._pieces -= 1
        if isinstance(heard, str):
            self._problem = self._problem or heard
        elif heard.text:
            # Of words that nobody knows the times of it is known in which piece they are said.
            words = heard.words or (Word(heard.text, 0.0, piece.seconds),)
            self._said.append((piece.start, replace(heard, words=words)))

    @property
    def done(self) -> bool:
        return self._read and not self._pieces

    def result(self, model: str) -> Transcribed:
        if self._problem:
            return Transcribed(self._name, None, self._problem)
        words = tuple(
            Word(word.word, start + word.start, start + word.end)
            for start, heard in self._said
            for word in heard.words
        )
        languages = [heard.language for _, heard in self._said]
        language = max(languages, key=languages.count, default="")
        text = _joined(heard.text for _, heard in self._said)
        transcript = Transcript(self._name, self._samples / RATE, text, words, language, model)
        return Transcribed(self._name, transcript, note=self._note)

    def _counted(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        for block in blocks:
            self._samples += len(block)
            yield block


def _joined(texts: Iterable[str]) -> str:
    """Texts behind each other, with a space between them unless both sides are Chinese."""
    joined = ""
    for text in texts:
        both = joined and holds_chinese(joined[-1]) and holds_chinese(text[0])
        joined += text if both or not joined else f" {text}"
    return joined


_recogniser: Recogniser
"""Of a worker process, made once in each and never in the main one."""


def _start_worker() -> None:
    global _recogniser
    ignore_interrupts()
    _recogniser = load_recogniser(EMBEDDED_SPEECH)


def _transcribe(task: tuple[str, Path]) -> Transcribed:
    name, folder = task
    [found] = transcribed([name], folder, _recogniser)
    return found
