"""How much is heard for one request: every second of sound takes a good part of a second to transcribe."""

from collections.abc import Mapping, Sequence

from kdsl.audio.decoding import audio_facts
from kdsl.audio.transcript import Transcript
from kdsl.errors import KdslError
from kdsl.sample import Sample
from kdsl.serve.media import RequestSounds
from kdsl.serve.refusal import Refusal

MOST_SECONDS, MOST_TOGETHER = 180.0, 600.0
"""Of the sounds of one sample, and of those of a request. The voice messages of most phones last a minute at most."""
_UNHEARD = ("missing", "unreadable", "long")
"""Problems of a sound of which nothing can be heard."""


def require_sounds(samples: Sequence[Sample], sounds: RequestSounds, known: Mapping[str, Transcript]) -> None:
    """Raise KdslError for a sound that is not there or cannot be heard, where the extra `voice` is missing, and for
    sounds of one sample that are too long; Refusal for those of all that are too long together.

    Sounds in `known` cost nothing. Takes as long as decoding the others.
    """
    together = 0.0
    for sample in samples:
        seconds = 0.0
        for name in dict.fromkeys(sample.audio):
            path = sounds.path(name)
            if name in known:
                continue
            facts = audio_facts(path)
            if facts.problem in _UNHEARD:
                raise KdslError(f"the sound {sounds.called(path)!r} cannot be heard: {facts.detail}")
            seconds += facts.seconds
        if seconds > MOST_SECONDS:
            raise KdslError(
                f"the sounds of {sample.id!r:.80} last {seconds:.0f} seconds together, more than {MOST_SECONDS:g}; "
                "send what matters of them"
            )
        together += seconds
    if together > MOST_TOGETHER:
        raise Refusal(
            413,
            f"the sounds last {together:.0f} seconds together, more than {MOST_TOGETHER:g}; send fewer at once",
        )
