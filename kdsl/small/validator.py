"""The small model judges what rules say."""

from collections.abc import Sequence

from kdsl.mining.proposer import Judged
from kdsl.sample import Task
from kdsl.small.wording import wording_of
from kdsl.vlm.conversation import Instruction, ask
from kdsl.vlm.model import VisionLanguageModel, probabilities
from kdsl.vlm.usage import CallBudget


class SmallValidator:
    """Implements `Validator`: the model is told the rule and its label with description, and no sample."""

    choice = 12

    def __init__(self, model: VisionLanguageModel, budget: CallBudget) -> None:
        self._model = model
        self._budget = budget

    def within(self, budget: CallBudget) -> "SmallValidator":
        """See `Validator.within`."""
        return SmallValidator(self._model, budget)

    def judge(self, task: Task, rules: Sequence[Judged]) -> list[float | None]:
        """The probability of yes against no, None where neither was said; the first rules are judged where the budget
        does not reach for all."""
        wording = wording_of(task)
        conversations = [
            ask(Instruction(wording.judge.format(rule=wording.rule(when), label=wording.label(task.labels[label]))))
            for label, when in rules[: self._budget.take(len(rules))]
        ]
        scores = self._model.score(conversations, wording.options)
        yes = probabilities(scores.log_probabilities)[:, 0]
        sense = [float(p) if answered else None for p, answered in zip(yes, scores.answered, strict=True)]
        return sense + [None] * (len(rules) - len(sense))
