"""A vision-language model in a dialogue: what it answers, and how probable it finds answers."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from kdsl.chat.dialogue import ChatTurn, conversation
from kdsl.errors import KdslError
from kdsl.vlm.conversation import Conversation
from kdsl.vlm.model import Generation, VisionLanguageModel


class NoPerplexity(KdslError):
    """A model that does not tell how probable an answer is."""


class ChatModel:
    """Answers dialogues whose pictures lie in `folder`, and their sounds in `sounds` or there too."""

    def __init__(
        self,
        model: VisionLanguageModel,
        folder: Path,
        system: str = "",
        max_new_tokens: int = 128,
        sounds: Path | None = None,
    ) -> None:
        """`system` is what the model is told before every dialogue; an answer has at most `max_new_tokens` tokens."""
        self.model = model
        self._folder, self._system, self._sounds = folder, system, sounds
        self._max_new_tokens = max_new_tokens

    def generate(self, dialogues: Sequence[Sequence[ChatTurn]]) -> list[str]:
        """The answer to the last turn of each dialogue, which is the user's; empty where the model says nothing.

        Raises KdslError in one sentence for a picture, a sound or a server that cannot be used.
        """
        return [answer.text for answer in self.generations(dialogues)]

    def generations(self, dialogues: Sequence[Sequence[ChatTurn]]) -> list[Generation]:
        """The same with what answers cost, and how much of each dialogue was left out because it was too long."""
        return self.model.generate([self._asked(dialogue) for dialogue in dialogues], self._max_new_tokens)

    def perplexity(self, dialogue: Sequence[ChatTurn], answers: Sequence[str], base: float = math.e) -> list[float]:
        """How much each answer surprises the model where the dialogue's last turn, the user's, asks for one: from 1.

        It is `base` to the power of the mean of -ln p over the answer's tokens, its end token included. With e that is
        the perplexity as it is defined. With 2 it is what several solutions of FusionBrain Challenge 3.0 return: the
        mean stays in nats there, so that it is smaller but never orders answers otherwise. All answers are scored in
        one call, which reads the dialogue once.

        Raises KdslError for an empty answer, and NoPerplexity for a server that tells no log-probabilities.
        """
        different = [*dict.fromkeys(answers)]
        if not different:
            return []
        if "" in different:
            raise KdslError("an empty answer has no perplexity; give one with a text")
        scores = self.model.score([self._asked(dialogue)], different)
        if scores.estimated:
            raise NoPerplexity(
                f"{self.model.identity.partition(' ')[0]}: the server tells no log-probabilities of a prompt, so "
                "answers have no perplexity; serve the model with vLLM, or name its directory"
            )
        means = -scores.log_probabilities[0] / scores.lengths
        found = dict(zip(different, means.tolist(), strict=True))
        return [_power(base, found[answer]) for answer in answers]

    def _asked(self, dialogue: Sequence[ChatTurn]) -> Conversation:
        asked = conversation(dialogue, self._folder, self._system, self._sounds)
        if not asked or asked[-1].role != "user":
            raise KdslError("a dialogue does not end with a turn of the user that holds something; ask something")
        return asked


def _power(base: float, exponent: float) -> float:
    """The largest number there is where it is larger, as of an answer that the model holds to be impossible."""
    try:
        return float(base**exponent)
    except OverflowError:
        return sys.float_info.max
