"""What the large model learns from: conversations with the right answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch.utils.data import Dataset

from kdsl.models.large.targets import CHINESE, AnswerMarks, Target, answer_pieces, shortened
from kdsl.vlm.conversation import Conversation
from kdsl.vlm.processor import Processor, Prompt


@dataclass(frozen=True, slots=True)
class Example:
    task: str
    conversation: Conversation
    answer: str
    """The label."""
    reason: str = ""
    """Why it has the label; empty where nobody says."""
    marks: AnswerMarks = CHINESE
    weight: float = 1.0
    """What it counts for in the loss."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as the model reads it."""

    prompt: Prompt
    answer: list[int]
    """Token ids, the end token included."""
    weight: float = 1.0


class Examples(Dataset[Encoded]):
    """Encodes an example when it is asked for: pictures and sounds of a whole data set need not fit the memory."""

    def __init__(
        self, examples: Sequence[Example], processor: Processor, target: Target = "label", most: int | None = None
    ) -> None:
        """`most`: tokens of an answer whose reason stands before its label; longer reasons lose their last clauses."""
        self._examples = examples
        self._processor = processor
        self._target = target
        self._most = most

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Encoded:
        example = self._examples[index]
        return Encoded(
            self._processor.encode(example.conversation),
            self._processor.answer_ids(*self.answer_pieces(example)),
            example.weight,
        )

    def answer_pieces(self, example: Example) -> tuple[str, ...]:
        """What is learned of an example, in the pieces that have tokens of their own."""
        reason = example.reason
        if self._target == "reason_label" and self._most is not None and reason:
            rest = len(self._processor.answer_ids(example.marks.label, example.answer))
            reason = shortened(reason, self._most - rest, lambda text: len(self._processor.answer_ids(text)) - 1)
        return answer_pieces(self._target, example.answer, reason, example.marks)
