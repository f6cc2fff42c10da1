"""A linear map from an encoder's vector to vectors among those of a language model's words, between two marks.

Source: FROMAGe (Koh et al. 2023, arXiv 2301.13823) maps the vector of a frozen encoder of pictures to k vectors of a
frozen language model; Kosmos-1 (arXiv 2302.14045) puts marks around them.
"""

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from kdsl.config_parts import TrainingConfig
from kdsl.errors import Hint, KdslError
from kdsl.files import write_atomically
from kdsl.record_file import read_record
from kdsl.vlm.encoder import Kind

CARD_FILE = "projection.json"
_WEIGHTS_FILE = "projection.safetensors"


class Projection(nn.Module):
    """W [size, tokens · width] and two marks [2, width], which are learned; and how far the encoder's numbers spread.

    Encoders give vectors that have most of their length in common. So that W sees what tells sounds or pictures apart,
    each number is taken relative to its mean and deviation over the training data.
    """

    def __init__(self, size: int, tokens: int, width: int) -> None:
        super().__init__()
        self.size, self.tokens, self.width = size, tokens, width
        self.weight = nn.Parameter(torch.zeros(size, tokens * width))
        self.marks = nn.Parameter(torch.zeros(2, width))
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    @torch.no_grad()
    def initialise(self, features: Tensor, words: Tensor, seed: int) -> None:
        """Where training begins: random, with vectors as large as `words` [n, width], the embeddings of words.

        `features` [n, size] are the encoder's vectors of the training data.
        """
        random = torch.Generator().manual_seed(seed)
        scale = words.float().std().item()
        self.weight.copy_(torch.randn(self.weight.shape, generator=random) * scale / self.size**0.5)
        self.marks.copy_(torch.randn(self.marks.shape, generator=random) * scale)
        deviation = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation)))

    @property
    def span(self) -> int:
        """Vectors that a sound or picture becomes, its marks included."""
        return self.tokens + 2

    def forward(self, features: Tensor) -> Tensor:
        """[n, span, width] of an encoder's vectors [n, size]: the begin mark, W's vectors, the end mark."""
        spread = (features - self.mean) / self.deviation
        vectors = (spread @ self.weight).view(len(features), self.tokens, self.width)
        begin, end = (mark.expand(len(features), 1, self.width) for mark in self.marks)
        return torch.cat([begin, vectors, end], dim=1)

    def save(self, folder: Path) -> None:
        """Write its numbers into `folder`."""
        numbers = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        write_atomically(folder / _WEIGHTS_FILE, save(numbers))

    @classmethod
    def load(cls, folder: Path, card: "ProjectionCard") -> "Projection":
        """What `save` wrote; KdslError where it is damaged or of other sizes than its card says."""
        path = folder / _WEIGHTS_FILE
        projection = cls(card.size, card.tokens, card.width)
        try:
            projection.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            told = f"{path}: is missing, damaged or not what {CARD_FILE} beside it is of"
            raise KdslError(told, Hint.TRAIN_AGAIN) from error
        return projection


class ProjectionCard(BaseModel):
    """What a projection was made from and how it did, beside its numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    """Hash of everything that the numbers depend on."""
    encoder: str
    encoder_weights: str
    kind: Kind
    """What the encoder encodes."""
    model: str
    model_weights: str
    size: int
    """Numbers of the encoder's vector."""
    tokens: int
    width: int
    """Numbers of the language model's vectors."""
    training: TrainingConfig
    learning_rate: float
    seed: int
    dialogues: dict[str, int]
    """How many were trained on (`train`) and held out (`held_out`)."""
    answers: dict[str, int]
    """The same of their answers."""
    held_out: tuple[str, ...]
    """Ids of the held-out dialogues."""
    best: int
    """The epoch that was kept, from 1."""
    history: list[dict[str, Any]]
    """Of every epoch the mean loss of a token, in nats: `loss` in training, `held_out` behind it."""
    versions: dict[str, str]

    def save(self, folder: Path) -> None:
        write_atomically(folder / CARD_FILE, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "ProjectionCard":
        """Raises KdslError where there is none, or one that cannot be read."""
        if not (folder / CARD_FILE).exists():
            raise KdslError(f"{folder}: holds no projection ({CARD_FILE} is missing)", Hint.TRAIN)
        return read_record(cls, folder / CARD_FILE, Hint.TRAIN_AGAIN)
