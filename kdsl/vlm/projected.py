"""A language model that reads sounds, or pictures, through a projection: vectors among those of its words."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import AddedToken
from torch import Tensor, nn

from kdsl.errors import Hint, KdslError
from kdsl.pretrained import fingerprint
from kdsl.progress import Progress
from kdsl.vector_cache import VectorCache
from kdsl.vlm.conversation import Audio, Conversation, Picture, Piece, pictures, sounds
from kdsl.vlm.encoder import Encoder, Kind
from kdsl.vlm.local import LocalModel
from kdsl.vlm.model import Generation, Scores
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.processor import Processor, Prompt
from kdsl.vlm.projection import Projection, ProjectionCard


class ProjectedModel:
    """A model of `kdsl.vlm.local` with a projection. Implements `VisionLanguageModel`.

    Of a sound, or of a picture where the encoder is one of pictures, the language model is given what the projection
    makes of it; everything else it reads as before. Not for several threads at once.
    """

    def __init__(self, local: LocalModel, encoder: Encoder, projection: Projection, identity: str) -> None:
        """`local` is changed: from now on it is a part of this model."""
        words = local.model.get_input_embeddings()
        self.embeddings = ProjectedEmbeddings(words, projection.to(words.weight.device))
        local.model.set_input_embeddings(self.embeddings)
        self.processor = ProjectingProcessor(local.processor, encoder.kind, projection.span, words.num_embeddings)
        local.processor = self.processor
        self.local = local
        self.encoder = encoder
        self._identity = identity

    @classmethod
    def load(
        cls,
        name: str,
        encoder: str,
        folder: Path,
        budget: PixelBudget | None = None,
        max_tokens: int = 32768,
        device: str | None = None,
        cache: VectorCache | None = None,
    ) -> "ProjectedModel":
        """The language model and the encoder of these names with the projection that `kdsl train` left in `folder`.

        Raises KdslError in one sentence for whatever cannot be loaded, and for a projection that was trained with
        another language model or another encoder.
        """
        card = ProjectionCard.load(folder)
        found = Encoder(encoder, device, cache)
        if card.model_weights != fingerprint(name):
            raise KdslError(
                f"{folder}: was trained with the language model {card.model}, not {name}", Hint.TRAIN_AGAIN
            )
        if card.encoder_weights != found.weights:
            raise KdslError(f"{folder}: was trained with the encoder {card.encoder}, not {encoder}", Hint.TRAIN_AGAIN)
        projection = Projection.load(folder, card)
        local = LocalModel.load(name, budget, max_tokens, device)
        return cls(local, found, projection.eval(), card.fingerprint)

    @property
    def identity(self) -> str:
        return f"{self.local.identity} projection {self._identity[:16]}"

    def sees(self) -> bool:
        """See `VisionLanguageModel.sees`."""
        return self.processor.sees

    def hears(self) -> bool:
        """See `VisionLanguageModel.hears`."""
        return self.processor.hears

    def generate(
        self,
        conversations: Sequence[Conversation],
        max_new_tokens: int,
        choices: Sequence[str] | None = None,
        stop: str | None = None,
    ) -> list[Generation]:
        """See `VisionLanguageModel.generate`."""
        self.look_at(conversations)
        return self.local.generate(conversations, max_new_tokens, choices, stop)

    def score(self, conversations: Sequence[Conversation], options: Sequence[str], ended: bool = True) -> Scores:
        """See `VisionLanguageModel.score`."""
        self.look_at(conversations)
        return self.local.score(conversations, options, ended)

    def projected(self, conversation: Conversation) -> list[Path]:
        """The files in a conversation that go through the projection."""
        held = sounds(conversation) if self.encoder.kind == "audio" else pictures(conversation)
        return [piece.path for piece in held]

    def look_at(self, conversations: Sequence[Conversation], progress: Progress | None = None) -> None:
        """Encode the sounds or pictures of these conversations, in place of those of earlier ones.

        Raises KdslError in one sentence for one that cannot be used.
        """
        paths = [*dict.fromkeys(path for each in conversations for path in self.projected(each))]
        self.processor.rows = {path: row for row, path in enumerate(paths)}
        features = torch.from_numpy(self.encoder.vectors(paths, progress))
        self.embeddings.features = features.to(self.embeddings.words.weight.device)


class ProjectedEmbeddings(nn.Module):
    """The embeddings of a language model's words and, for ids behind its vocabulary, what a projection gives.

    Of the vocabulary's n words and vectors that are `span` a sound, n + row · span + i is the i-th of that row of
    `features`. So whatever takes ids of tokens takes sounds, too: generation, scoring, padding.
    """

    def __init__(self, words: nn.Embedding, projection: Projection) -> None:
        super().__init__()
        self.words = words
        self.projection = projection
        self.features = torch.zeros((0, projection.size))
        """[n, size]: the encoder's vectors."""

    @property
    def weight(self) -> Tensor:
        """The embeddings of words [n, width], as `nn.Embedding` has them."""
        return self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        """[batch, tokens, width] of ids [batch, tokens]."""
        projected = ids >= self.words.num_embeddings
        found = self.words(ids.masked_fill(projected, 0))
        if not projected.any():
            return found
        places = ids[projected] - self.words.num_embeddings
        rows, inverse = torch.unique(places // self.projection.span, return_inverse=True)
        vectors = self.projection(self.features[rows])[inverse, places % self.projection.span]
        return found.index_put((projected.to(found.device),), vectors.to(found.device, found.dtype))


class ProjectingProcessor(Processor):
    """Writes ids behind the vocabulary, see `ProjectedEmbeddings`, where a conversation has sounds, or pictures."""

    def __init__(self, processor: Processor, kind: Kind, span: int, first: int) -> None:
        """`kind` is what the projection is for, `span` how many vectors it makes, `first` the first id for them."""
        super().__init__(processor._processor, processor.budget, processor.max_tokens, processor.cache)
        self._kind = kind
        self._span = span
        self._first = first
        # No text can hold it. As it is no special token, it stays one in a message.
        self._place = f"<|projected {secrets.token_hex(16)}|>"
        self.tokenizer.add_tokens([AddedToken(self._place, special=False, normalized=False)])
        self._place_id = self.tokenizer.convert_tokens_to_ids(self._place)
        self.rows: dict[Path, int] = {}
        """File → its row of `ProjectedEmbeddings.features`."""

    @property
    def hears(self) -> bool:
        return self._kind == "audio" or super().hears

    @property
    def sees(self) -> bool:
        return self._kind == "image" or super().sees

    def encode(self, conversation: Conversation) -> Prompt:
        """See `Processor.encode`; a sound or picture that is projected is a piece of `span` tokens."""
        found: list[int] = []

        def placed(piece: Piece) -> Piece:
            if not isinstance(piece, Audio if self._kind == "audio" else Picture):
                return piece
            found.append(self.rows[piece.path])
            return self._place * self._span

        prompt = super().encode(
            tuple(replace(message, pieces=tuple(map(placed, message.pieces))) for message in conversation)
        )
        places = prompt.input_ids == self._place_id
        kept = int(places.sum()) // self._span
        # What was dropped, because the conversation is too long, are the earliest ones.
        rows = torch.tensor(found[len(found) - kept :], dtype=torch.long)
        ids = self._first + rows[:, None] * self._span + torch.arange(self._span)
        return replace(prompt, input_ids=prompt.input_ids.masked_scatter(places, ids.flatten()))
