"""A sentence encoder by its name in kdsl.yaml."""

from kdsl.embeddings.encoder import Encoder
from kdsl.embeddings.use import UniversalSentenceEncoder


def load_encoder(name: str) -> Encoder:
    """The encoder that `encoder:` names, `none` apart; its weights are read when they are needed."""
    return UniversalSentenceEncoder()
