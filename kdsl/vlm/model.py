"""The one face of vision-language models, local or behind a server, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kdsl.vlm.conversation import Conversation
from kdsl.vlm.free_text import find_label


@dataclass(frozen=True, slots=True)
class Generation:
    """A generated answer and what it cost."""

    text: str
    output_tokens: int
    """The end token included."""
    calls: int = 1
    dropped: int = 0
    """Pieces of the prompt that were dropped because it was too long."""
    cut: bool = False
    """Whether a server says that the answer was longer than it might be."""
    aside: str = ""
    """What was said instead where `text` is empty: a thought, or a refusal."""

    def label(self, labels: Sequence[str]) -> int | None:
        """Index of the label that the answer is, see `find_label`. Some servers take a whole answer for a thought."""
        return find_label(self.text or self.aside, labels, self.cut)


@dataclass(frozen=True, slots=True)
class Scores:
    """How probable each option is as the whole answer to each conversation, and what it cost to know."""

    log_probabilities: NDArray[np.float64]
    """[batch, options]: natural logarithms, summed over an option's tokens, its end token included."""
    lengths: NDArray[np.int64]
    """[options]: tokens of each option, its end token included."""
    output_tokens: NDArray[np.int64]
    """[batch]: tokens that answering with the best option takes (for an estimate, all tokens that were sampled)."""
    calls: NDArray[np.int64]
    """[batch]: model calls."""
    dropped: NDArray[np.int64]
    """[batch]: pieces of the prompt that were dropped because it was too long."""
    estimated: bool = False
    """True when a server gives no log-probabilities and they were estimated from sampled answers."""
    strays: tuple[str | None, ...] = ()
    """[batch]: a sampled answer, where none is any of the options and the log-probabilities say nothing; None for the
    others. Empty where all say something."""

    @property
    def answered(self) -> NDArray[np.bool_]:
        """[batch]: where the log-probabilities say something."""
        strays = self.strays or (None,) * len(self.log_probabilities)
        return np.array([stray is None for stray in strays], dtype=bool)


class VisionLanguageModel(Protocol):
    """A model that reads text, and takes pictures, sounds or both. Implementations: `kdsl.vlm.local`,
    `kdsl.vlm.server.model`."""

    @property
    def identity(self) -> str:
        """A string that changes whenever the answers may: model, adapters, pixel budget. A key for caches."""
        ...

    def sees(self) -> bool:
        """Whether it takes pictures; a server is asked about a small one, once."""
        ...

    def hears(self) -> bool:
        """Whether it takes sounds; a server is asked about a short one, once."""
        ...

    def generate(
        self,
        conversations: Sequence[Conversation],
        max_new_tokens: int,
        choices: Sequence[str] | None = None,
        stop: str | None = None,
    ) -> list[Generation]:
        """The most probable answer to each conversation, decoded greedily, up to where `stop` begins, if it occurs.

        Of an answer only what `kdsl.vlm.free_text.said` leaves. With `choices` (the same for all) every answer is
        exactly one of them, the most probable as a whole; a server may still say something else. Raises KdslError in
        one sentence for a picture, a sound or a server that cannot be used, and for a sound that is given to a model
        that does not hear.
        """
        ...

    def score(self, conversations: Sequence[Conversation], options: Sequence[str], ended: bool = True) -> Scores:
        """The log-probability of every option (all different, none empty) as the whole answer to each conversation.

        Without `ended` as the beginning of the answer: no end token is scored, so none may begin another one.
        """
        ...


Normalisation = Literal["sum", "mean", "pmi"]


def normalise_scores(
    scores: Scores, how: Normalisation = "sum", prior: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Comparable scores [batch, options]: larger is better, by the sum, the mean or the pointwise mutual information.

    - sum: log p(option | prompt). Exact, but favours short options in an untuned model.
    - mean: the same divided by the option's tokens. Over-corrects for long options.
    - pmi: log p(option | prompt) - log p(option | empty prompt), where `prior` [options] are the summed
      log-probabilities after a prompt without content (Holtzman et al. 2021, "Surface form competition").

    Which is best is chosen on development data. Raises ValueError for pmi without a prior.
    """
    if how == "sum":
        return scores.log_probabilities
    if how == "mean":
        return scores.log_probabilities / scores.lengths
    if prior is None or prior.shape != scores.lengths.shape:
        raise ValueError("pmi takes the prior of each option: its log-probability after a prompt without content")
    return scores.log_probabilities - prior


def probabilities(normalised: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the options, [batch, options]: what the model believes if one of the options must be right."""
    shifted = np.exp(normalised - normalised.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
