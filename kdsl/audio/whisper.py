"""Whisper in this process, by transformers, on a GPU if there is one.

Source: Radford et al. 2023, "Robust Speech Recognition via Large-Scale Weak Supervision".
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

from kdsl.audio.decoding import RATE
from kdsl.audio.pieces import LONGEST_PIECE, Piece
from kdsl.audio.recogniser import Heard
from kdsl.audio.transcript import Word
from kdsl.errors import KdslError
from kdsl.pretrained import (
    is_out_of_memory,
    loading_in_one_sentence,
    location_of,
    model_name,
    number_format,
    quiet,
    without_extra,
)
from kdsl.text import writable


class WhisperRecogniser:
    """Implements `Recogniser`, for a directory or a hub id. The language is found out for each piece."""

    at_once = 8

    def __init__(self, name: str) -> None:
        """Raises KdslError where transformers is missing, and for a model that cannot be loaded or is no Whisper."""
        self._given = name
        self._loaded = _load(name)

    @property
    def name(self) -> str:
        """The hub id, or the last part of the directory."""
        return model_name(self._given)

    @property
    def longest(self) -> float:
        """See `Recogniser.longest`."""
        return min(self._loaded.longest, LONGEST_PIECE)

    def recognise(self, pieces: Sequence[Piece]) -> list[Heard | str]:
        """See `Recogniser.recognise`. Raises KdslError when the memory does not suffice for one piece."""
        if not pieces:
            return []
        try:
            return list(self._loaded.heard(pieces))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(pieces) == 1:
                raise KdslError(
                    f"{self._given}: out of memory with one piece of {pieces[0].seconds:.0f} seconds; take a smaller "
                    "Whisper"
                ) from error
        half = len(pieces) // 2
        return [*self.recognise(pieces[:half]), *self.recognise(pieces[half:])]


@dataclass(frozen=True)
class _Loaded:
    """What transformers loads, which has no types of its own."""

    extractor: Any
    tokenizer: Any
    model: Any

    @property
    def longest(self) -> float:
        """Seconds that it hears at once."""
        return self.extractor.chunk_length

    def heard(self, pieces: Sequence[Piece]) -> Iterator[Heard]:
        """What is said in each. Out of memory passes through."""
        import torch

        sounds = self.extractor(
            [piece.samples for piece in pieces], sampling_rate=RATE, return_tensors="pt", return_attention_mask=True
        )
        features = sounds["input_features"].to(self.model.device, self.model.dtype)
        settings = self.model.generation_config
        timed = bool(getattr(settings, "alignment_heads", None))
        with torch.inference_mode(), quiet():
            languages = self._languages(features)
            told: dict[str, Any] = {"language": languages, "task": "transcribe"} if languages else {}
            found = self.model.generate(
                features,
                attention_mask=sounds["attention_mask"].to(self.model.device),
                return_timestamps=False,
                return_token_timestamps=timed,
                num_beams=1,
                **told,
            )
        ids = (found["sequences"] if timed else found).tolist()
        times = found["token_timestamps"].tolist() if timed else [[] for _ in ids]
        for row, piece in enumerate(pieces):
            text = writable(self.tokenizer.decode(ids[row], skip_special_tokens=True)).strip()
            words = self._words(ids[row], times[row], piece.seconds) if timed and text else ()
            language = languages[row].strip("<|>") if languages and text else ""
            yield Heard(text, words, language)

    def _words(self, ids: list[int], ends: list[float], seconds: float) -> tuple[Word, ...]:
        special = set(self.tokenizer.all_special_ids)
        told = [(token, end) for token, end in zip(ids, ends, strict=True) if token not in special]

        def decode(tokens: list[int]) -> str:
            return writable(self.tokenizer.decode(tokens))

        return tuple(timed_words(decode, [token for token, _ in told], [end for _, end in told], seconds))

    def _languages(self, features: Any) -> list[str]:
        """A token such as <|en|> for each row of `features`; empty of a model that knows English alone."""
        settings = self.model.generation_config
        if not getattr(settings, "is_multilingual", False) or not getattr(settings, "lang_to_id", None):
            return []
        tokens = {token_id: token for token, token_id in settings.lang_to_id.items()}
        return [tokens[found] for found in self.model.detect_language(features).tolist()]


def timed_words(
    decode: Callable[[list[int]], str], ids: Iterable[int], ends: Iterable[float], seconds: float
) -> Iterator[Word]:
    """Whole words of tokens that end at `ends`, in seconds, none behind `seconds`.

    A token begins where the one before it ends, the first at 0. A word begins with a space, and in scripts that have
    none with every character.
    """
    word, start, begins, end, pending = "", 0.0, 0.0, 0.0, list[int]()
    for token, until in zip(ids, ends, strict=True):
        begins = begins if pending else end
        end = min(max(until, end), seconds)
        pending.append(token)
        part = decode(pending)
        if part.endswith("\ufffd"):  # the character goes on in the next token
            continue
        pending = []
        if word.strip() and _begins_word(word, part):
            yield Word(word.strip(), start, begins)
            word = ""
        start = start if word else begins
        word += part
    if word.strip():
        yield Word(word.strip(), start, end)


def _begins_word(before: str, part: str) -> bool:
    """Whether `part` of a text begins a new word: behind a space, and with every character of scripts without any."""
    if part[:1].isspace():
        return True
    return part[:1].isalnum() and "W" in (east_asian_width(part[0]), east_asian_width(before[-1]))


def _load(name: str) -> _Loaded:
    try:
        import torch
        from transformers import AutoConfig, AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration
    except ImportError as error:
        raise without_extra(name, error) from error

    location = location_of(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with loading_in_one_sentence(name), quiet():
        config = AutoConfig.from_pretrained(location, trust_remote_code=False)
        if config.model_type != "whisper":
            raise KdslError(f"{name}: is a model of the kind {config.model_type}; speech takes a Whisper model")
        extractor = WhisperFeatureExtractor.from_pretrained(location)
        tokenizer = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
        model, info = WhisperForConditionalGeneration.from_pretrained(
            location, dtype=number_format(device), output_loading_info=True, trust_remote_code=False
        )
    missing = sorted(info["missing_keys"])
    if missing:
        raise KdslError(
            f"{name}: the weight files lack {len(missing)} of the model's tensors, such as {missing[0]}; the "
            "directory is incomplete, or its config.json is of another model"
        )
    return _Loaded(extractor, tokenizer, model.to(device).eval())
