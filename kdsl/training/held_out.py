"""The samples that fine-tuning is judged on while it runs: their labels are scored as prediction scores them."""

from collections.abc import Sequence

import numpy as np
from accelerate.utils import gather_object

from kdsl.models.large.targets import UNLIMITED, Target, score_labels
from kdsl.training.examples import Example
from kdsl.vlm.local import LocalModel
from kdsl.vlm.model import probabilities

WEIGHTED_F1 = "weighted_f1"
LOG_LOSS = "log_loss"
SELECTION = "selection"
"""What the kept checkpoint is best in: weighted F1, less a thousandth of the log loss, which decides among equals."""


Answer = tuple[str, float]
"""The label that scored best, and minus the log probability of the true label."""


class HeldOut:
    """Held-out examples of one or several tasks, with the labels of each task."""

    def __init__(
        self,
        examples: Sequence[Example],
        labels: dict[str, tuple[str, ...]],
        target: Target = "label",
        most: int | None = None,
    ) -> None:
        """`most`: output tokens of one sample, where the model writes a reason before its label."""
        self._examples = examples
        self._labels = labels
        self._target = target
        self._most = most

    def judge(self, model: LocalModel, process: int = 0, processes: int = 1) -> dict[str, float]:
        """`metrics` of what the model says. Each of several processes scores its share; all get the whole result."""
        share = self._predict(model, range(process, len(self._examples), processes))
        return self.metrics([answer for _, answer in sorted(gather_object(share))])

    def predict(self, model: LocalModel) -> list[Answer]:
        """The label that scores best for every example, and minus the log probability of the true one."""
        return [answer for _, answer in sorted(self._predict(model, range(len(self._examples))))]

    def metrics(self, answers: Sequence[Answer]) -> dict[str, float]:
        """Weighted F1, log loss and `SELECTION` over all tasks pooled, and weighted F1 of each of several tasks."""
        # The same name in two tasks is two labels.
        truth = [(example.task, example.answer) for example in self._examples]
        guess = [(example.task, label) for example, (label, _) in zip(self._examples, answers, strict=True)]
        f1, loss = _weighted_f1(truth, guess), float(np.mean([loss for _, loss in answers]))
        metrics = {WEIGHTED_F1: f1, LOG_LOSS: loss, SELECTION: f1 - loss / 1000}
        if len(self._labels) > 1:
            for task in self._labels:
                rows = [row for row, (name, _) in enumerate(truth) if name == task]
                metrics[f"{WEIGHTED_F1}/{task}"] = _weighted_f1([truth[i] for i in rows], [guess[i] for i in rows])
        return metrics

    def _predict(self, model: LocalModel, among: Sequence[int]) -> list[tuple[int, Answer]]:
        found = []
        for task, labels in self._labels.items():
            rows = [row for row in among if self._examples[row].task == task]
            if not rows:
                continue
            longest = max(len(model.processor.answer_ids(label)) for label in labels)
            tokens = [UNLIMITED if self._most is None else max(1, self._most - longest)] * len(rows)
            conversations = [self._examples[row].conversation for row in rows]
            scored = score_labels(model, conversations, labels, self._target, tokens, self._examples[rows[0]].marks)
            for row, p in zip(rows, probabilities(scored.log_probabilities), strict=True):
                true = labels.index(self._examples[row].answer)
                found.append((row, (labels[int(p.argmax())], float(-np.log(max(p[true], 1e-12))))))
        return found


def _weighted_f1(truth: Sequence[tuple[str, str]], guess: Sequence[tuple[str, str]]) -> float:
    from sklearn.metrics import f1_score

    names = {name: i for i, name in enumerate(dict.fromkeys([*truth, *guess]))}
    codes = [[names[name] for name in column] for column in (truth, guess)]
    return float(f1_score(*codes, average="weighted", zero_division=0.0))
