"""A model whose answers are kept on disk by the content of what was asked, so that nothing is asked twice."""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.files import file_digest
from kdsl.json_file import append_jsonl, read_jsonl
from kdsl.vlm.conversation import Audio, Conversation, Instruction, Picture, Piece
from kdsl.vlm.free_text import Strays
from kdsl.vlm.model import Generation, Scores, VisionLanguageModel

_CHUNK = 32
"""Conversations that are asked at once; an interruption loses no more than these."""
_STRAY = "stray"
"""In a record that is not kept: what was said."""
UNUSABLE = "empty or none of the options"
_REMEDY = "take this line out to ask again for its answer, or delete the file to ask for all"


class CachedModel:
    """Implements `VisionLanguageModel`. Answers are JSON lines in `path`, keyed by a hash of the model's identity, the
    conversation, its pictures' bytes and the options. For several threads at once where `model` is.

    What says nothing is not kept, so that it is asked again: an empty answer, one that is none of the choices, and
    sampled answers of which none is an option. Raises KdslError for a model all of whose answers are like that.
    """

    def __init__(self, model: VisionLanguageModel, path: Path) -> None:
        self.model = model
        self._path = path
        self._lock = Lock()
        self._known = _read(path) if path.exists() else {}
        self.asked = 0
        """Conversations that the model was asked; all others were known."""
        self.strays = Strays()
        """Of their answers, those that say nothing."""

    @property
    def identity(self) -> str:
        return self.model.identity

    def sees(self) -> bool:
        """See `VisionLanguageModel.sees`."""
        return self.model.sees()

    def hears(self) -> bool:
        """See `VisionLanguageModel.hears`."""
        return self.model.hears()

    def knows(self, conversation: Conversation, max_new_tokens: int) -> bool:
        """Whether `generate` with so many tokens answers it without the model being asked."""
        return self._key("generate", conversation, [max_new_tokens, None]) in self._known

    def generate(
        self,
        conversations: Sequence[Conversation],
        max_new_tokens: int,
        choices: Sequence[str] | None = None,
        stop: str | None = None,
    ) -> list[Generation]:
        """See `VisionLanguageModel.generate`."""
        # Keys without `stop` are those of files that were written before there was one.
        how = [max_new_tokens, None if choices is None else list(choices), *([] if stop is None else [stop])]
        keys = [self._key("generate", conversation, how) for conversation in conversations]
        stopping = {} if stop is None else {"stop": stop}

        def ask(chunk: Sequence[Conversation]) -> list[dict[str, Any]]:
            found = self.model.generate(chunk, max_new_tokens, choices, **stopping)
            return [_generated(answer, choices) for answer in found]

        records = self._answers(keys, conversations, ask, choices)
        return [Generation(**{name: record[name] for name in record if name != _STRAY}) for record in records]

    def score(self, conversations: Sequence[Conversation], options: Sequence[str], ended: bool = True) -> Scores:
        """See `VisionLanguageModel.score`."""
        ending = {} if ended else {"ended": False}
        if not conversations:
            return self.model.score(conversations, options, **ending)
        kind = "score" if ended else "score beginnings"
        keys = [self._key(kind, conversation, list(options)) for conversation in conversations]

        def ask(chunk: Sequence[Conversation]) -> list[dict[str, Any]]:
            scores = self.model.score(chunk, options, **ending)
            return [
                {
                    "log_probabilities": scores.log_probabilities[row].tolist(),
                    "lengths": scores.lengths.tolist(),
                    "output_tokens": int(scores.output_tokens[row]),
                    "calls": int(scores.calls[row]),
                    "dropped": int(scores.dropped[row]),
                    "estimated": scores.estimated,
                    **({} if scores.answered[row] else {_STRAY: scores.strays[row]}),
                }
                for row in range(len(chunk))
            ]

        records = self._answers(keys, conversations, ask, options)
        return Scores(
            np.array([record["log_probabilities"] for record in records], dtype=np.float64),
            np.array(records[0]["lengths"], dtype=np.int64),
            np.array([record["output_tokens"] for record in records], dtype=np.int64),
            np.array([record["calls"] for record in records], dtype=np.int64),
            np.array([record["dropped"] for record in records], dtype=np.int64),
            any(record["estimated"] for record in records),
            tuple(record.get(_STRAY) for record in records),
        )

    def embed(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """See `kdsl.vlm.local.LocalModel.embed`; the model must be such a one. Kept in half precision."""
        keys = [self._key("embed", conversation, None) for conversation in conversations]

        def ask(chunk: Sequence[Conversation]) -> list[dict[str, Any]]:
            # See above: it is such a one.
            vectors = self.model.embed(chunk).astype("<f2")  # type: ignore[attr-defined]
            return [{"vector": b64encode(row.tobytes()).decode(), "calls": 1, "dropped": 0} for row in vectors]

        records = self._answers(keys, conversations, ask)
        rows = [np.frombuffer(b64decode(record["vector"]), dtype="<f2") for record in records]
        return np.array(rows, dtype=np.float32).reshape(len(rows), -1)

    def _answers(
        self,
        keys: Sequence[str],
        conversations: Sequence[Conversation],
        ask: Callable[[Sequence[Conversation]], list[dict[str, Any]]],
        options: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        new = {key: c for key, c in zip(keys, conversations, strict=True) if key not in self._known}
        unkept: dict[str, dict[str, Any]] = {}
        if new:
            order = list(new)
            for start in range(0, len(order), _CHUNK):
                chunk = order[start : start + _CHUNK]
                records = ask([new[key] for key in chunk])
                with self._lock, append_jsonl(self._path) as append:
                    for key, record in zip(chunk, records, strict=True):
                        if _STRAY in record:
                            unkept[key] = record
                        else:
                            append({"key": key, "answer": record})
                            self._known[key] = record
                    self.asked += len(chunk)
                    self.strays.count(record.get(_STRAY) for record in records)
                    wanted = "text" if options is None else f"one of {', '.join(options[:3])}"
                    self.strays.require_any(self.identity.partition(" ")[0], wanted)
        return [unkept[key] if key in unkept else self._known[key] for key in keys]

    def _key(self, kind: str, conversation: Conversation, how: Any) -> str:
        messages = [[message.role, [_described(piece) for piece in message.pieces]] for message in conversation]
        content = json.dumps([self.identity, kind, how, messages], ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    with append_jsonl(path):
        pass  # takes away a line that an interruption tore
    known = {}
    for number, record in read_jsonl(path, _REMEDY):
        key, answer = record.get("key"), record.get("answer")
        if not isinstance(key, str) or not isinstance(answer, dict) or not _whole(answer):
            raise KdslError(f"{path}, line {number}: not an answer that KDSL kept; {_REMEDY}")
        if answer.get("text") != "":  # was once kept
            known[key] = answer
    return known


def _generated(answer: Generation, choices: Sequence[str] | None) -> dict[str, Any]:
    """An answer as it is kept; with `_STRAY` where it is not."""
    record: dict[str, Any] = {
        "text": answer.text,
        "output_tokens": answer.output_tokens,
        "calls": answer.calls,
        "dropped": answer.dropped,
    }
    record |= ({"cut": True} if answer.cut else {}) | ({} if answer.text else {"aside": answer.aside})
    usable = bool(answer.text) if choices is None else answer.text in choices
    return record if usable else record | {_STRAY: answer.text or answer.aside}


def _whole(answer: dict[str, Any]) -> bool:
    """Whether it is what `generate`, `score` or `embed` keeps."""
    counts = [answer.get("calls"), answer.get("dropped")]
    if "vector" in answer:
        return all(map(_is_count, counts)) and isinstance(answer["vector"], str)
    counts.append(answer.get("output_tokens"))
    if "text" in answer:
        return all(map(_is_count, counts)) and isinstance(answer["text"], str)
    scores, lengths = answer.get("log_probabilities"), answer.get("lengths")
    if not isinstance(scores, list) or not isinstance(lengths, list) or len(scores) != len(lengths):
        return False
    numbers = all(isinstance(score, float | int) and score == score for score in scores)
    return numbers and all(map(_is_count, [*counts, *lengths])) and isinstance(answer.get("estimated"), bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 53


def _described(piece: Piece) -> list[str]:
    if isinstance(piece, Picture | Audio):
        kind = "picture" if isinstance(piece, Picture) else "audio"
        try:
            return [kind, _file_hash(piece.path, piece.path.stat().st_mtime_ns)]
        except (OSError, KdslError):
            return [kind, str(piece.path)]  # the model says in one sentence what is wrong with it
    return ["instruction" if isinstance(piece, Instruction) else "text", str(piece)]


@lru_cache(maxsize=100_000)
def _file_hash(path: Path, modified: int) -> str:
    return file_digest(path).hex()
