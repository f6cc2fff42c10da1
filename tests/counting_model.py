"""A model without weights that counts what it is asked, for what does not depend on the answers."""

from collections.abc import Callable, Sequence

import numpy as np

from kdsl.errors import KdslError
from kdsl.vlm.conversation import Conversation, pictures
from kdsl.vlm.model import Generation, Scores


class CountingModel:
    """Answers `reply(conversation)`; scores the first option with `yes(conversation)` against the second.

    Where it `evades` it scores none, as a server does none of whose sampled answers is an option.
    """

    def __init__(
        self,
        reply: Callable[[Conversation], str] = lambda conversation: "",
        yes: Callable[[Conversation], float] = lambda conversation: 0.75,
        identity: str = "counting",
        evades: Callable[[Conversation], bool] = lambda conversation: False,
    ) -> None:
        self.identity = identity
        self.asked: list[Conversation] = []
        self._reply, self._yes, self._evades = reply, yes, evades

    def sees(self) -> bool:
        return True

    def hears(self) -> bool:
        return False

    def generate(
        self, conversations: Sequence[Conversation], max_new_tokens: int, choices: Sequence[str] | None = None
    ) -> list[Generation]:
        self._look(conversations)
        return [Generation(self._reply(c), 3) for c in conversations]

    def score(self, conversations: Sequence[Conversation], options: Sequence[str]) -> Scores:
        self._look(conversations)
        p = np.array([self._yes(c) for c in conversations]).reshape(-1, 1)
        ones = np.ones(len(conversations), dtype=np.int64)
        rest = np.repeat(np.log(1 - p), len(options) - 1, axis=1)
        log_p = np.concatenate([np.log(p), rest], axis=1)
        strays = tuple("看情况" if self._evades(conversation) else None for conversation in conversations)
        log_p[[stray is not None for stray in strays]] = np.log(1 / 34)
        return Scores(log_p, np.full(len(options), 2), 2 * ones, ones, 0 * ones, any(strays), strays)

    def _look(self, conversations: Sequence[Conversation]) -> None:
        for conversation in conversations:
            for picture in pictures(conversation):
                if not picture.path.read_bytes().startswith(b"\x89PNG"):
                    raise KdslError(f"{picture.path}: not an image")
        self.asked += conversations
