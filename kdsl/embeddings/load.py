"""A sentence encoder by its name in kdsl.yaml."""

from functools import cache
from pathlib import Path

from kdsl.config import EMBEDDED_ENCODER
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.server import ServedEncoder
from kdsl.embeddings.transformer import TransformerEncoder
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.hosts import Consent, is_address


def load_encoder(
    name: str, consent: Consent | None = None
) -> UniversalSentenceEncoder | ServedEncoder | TransformerEncoder:
    """The encoder `use`, or that of a directory, a hub id or an http:// address; `consent` is for a server that is
    not this machine. Weights are read, and servers contacted, when they are needed."""
    if name == EMBEDDED_ENCODER:
        return UniversalSentenceEncoder()
    return ServedEncoder(name, consent) if is_address(name) else TransformerEncoder(name)


def encoder_parameters(name: str) -> int | None:
    """How many parameters that encoder has; None where it is not installed, or a server's."""
    encoder = load_encoder(name)
    return None if isinstance(encoder, ServedEncoder) or encoder.lacks else encoder.parameters()


@cache
def vectors_in_memory(name: str, folder: Path) -> SentenceVectors:
    """The vectors of an encoder for what has no project to keep them in, one object in this process for all of it.

    Contact with a server that is not this machine takes a yes for `folder`.
    """
    return SentenceVectors(load_encoder(name, Consent(folder)))
