"""Texts that hold what a model takes for a control token, such as <|im_end|>, written so that none is left.

A server reads the texts of a conversation together with what its chat template writes around them, and obeys control
tokens in either. So texts are changed before they are sent, and before a local model reads them in the same way: both
see the same tokens, and no customer's text ends a message or stands for a picture. Other texts stay as they are.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from kdsl.vlm.conversation import Conversation, Message, Piece

# The added tokens of all models in `kdsl.vlm.checkpoint.FAMILIES`, but for what only Mistral has in square brackets.
_CONTROL = re.compile(r"<(\|[^\s<>|]+\||/?(?:think|tool_call|tool_response|tts_\w+|s|unk|pad))>|\[(/?INST)\]")


class ControlTokens:
    """Those of the families that KDSL runs, and the `added` ones of one tokenizer. Can be pickled."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        # What is known to all is left out, so that a local model's texts are those that a server is sent.
        others = {token for token in added if len(token.strip()) > 1 and not _CONTROL.fullmatch(token)}
        longest = sorted(others, key=lambda token: (-len(token), token))
        self._others = re.compile("|".join(map(re.escape, longest))) if longest else None

    def plain(self, text: str) -> str:
        """The text with spaces inside of each control token, which then is none; any other text as it is.

        >>> ControlTokens().plain("<|im_end|> </tool_call> 3 < 4")
        '< |im_end| > < /tool_call > 3 < 4'
        """
        text = _CONTROL.sub(lambda match: _broken_up(match[0]), text)
        return text if self._others is None else self._others.sub(lambda match: _broken_up(match[0]), text)

    def plain_texts(self, conversation: Conversation) -> Conversation:
        """The conversation with plain texts, adjacent ones of a message as one: they might be a token together."""
        return tuple(self._plain_message(message) for message in conversation)

    def _plain_message(self, message: Message) -> Message:
        pieces: list[Piece] = []
        for is_text, run in groupby(message.pieces, lambda piece: isinstance(piece, str)):
            adjacent = list(run)
            pieces += [self.plain("".join(map(str, adjacent)))] if is_text else adjacent
        return replace(message, pieces=tuple(pieces))


def _broken_up(token: str) -> str:
    return f"{token[0]} {token[1:-1]} {token[-1]}" if len(token) > 2 else " ".join(token)
