"""Visual questions: written from the labels and sample images, answered once for every image, kept in a sidecar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kdsl.fields.vqa import QuestionSidecar, read_answers
from kdsl.files import existing_file, inside
from kdsl.json_file import append_jsonl
from kdsl.progress import Progress, reported
from kdsl.sample import Sample, Task
from kdsl.small.picture_chunks import Unreadable, answered
from kdsl.small.wording import Wording, listed, wording_of
from kdsl.vlm.conversation import Conversation, Instruction, Picture, ask
from kdsl.vlm.free_text import Strays, shortened
from kdsl.vlm.model import VisionLanguageModel, probabilities

SHOWN = 3
"""Sample images of a label that its questions are written from."""
_LONGEST = 60
"""Characters in a question; longer ones are descriptions."""
_AT_ONCE = 64
"""Questions that are answered before any of them is on disk."""


@dataclass
class Written:
    """The questions of a task, each once, and how many lines of the answers were none."""

    questions: list[str] = field(default_factory=list)
    dropped: int = 0


def write_questions(
    model: VisionLanguageModel, task: Task, samples: Sequence[Sample], folder: Path, n: int
) -> Written:
    """Up to `n` yes/no questions a label, from its name, its description and some of its images in `folder`.

    Labels without an image get none. What is no question is dropped and counted.
    """
    if n == 0:
        return Written()
    wording = wording_of(task)
    conversations = []
    for label in task.labels:
        images = [
            s.images[0]
            for s in samples
            if label.name in (s.given_labels or ()) and s.images and existing_file(folder, s.images[0]) is not None
        ]
        if images:
            chosen = [images[i] for i in dict.fromkeys(np.linspace(0, len(images) - 1, SHOWN).astype(int).tolist())]
            request = wording.write_questions.format(label=wording.label(label), n=n)
            conversations.append(ask(*(Picture(inside(folder, image)) for image in chosen), Instruction(request)))
    written = Written()
    for answer in model.generate(conversations, max_new_tokens=32 * n):
        lines = listed(answer.text)
        questions = [line for line in lines if line.endswith(("?", "？")) and 4 <= len(line) <= _LONGEST]
        written.dropped += len(lines) - len(questions[:n])
        written.questions += [line for line in questions[:n] if line not in written.questions]
    return written


@dataclass
class Answered:
    """How many images were asked about now, and what was wrong with others: image → reason.

    An image to which only some questions have an answer is both.
    """

    images: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def answer_questions(
    model: VisionLanguageModel,
    wording: Wording,
    images: Sequence[str],
    questions: Sequence[str],
    folder: Path,
    path: Path,
    progress: Progress | None = None,
) -> Answered:
    """Ask every question about every image in `folder` that the sidecar at `path` has no answer of this model for.

    Each image's answers are on disk once they are known, so that an interrupted run goes on where it was. Images that
    cannot be read are told and tried again next time, and so are questions that got neither yes nor no; errors of the
    model pass through as KdslError, and one that never says either is an error.
    """
    with append_jsonl(path) as append:
        known = read_answers(path)
        missing: dict[tuple[str, ...], list[str]] = {}
        for image in dict.fromkeys(images):
            open_questions = tuple(q for q in questions if not _answered(known, image, q, model.identity))
            if open_questions:
                missing.setdefault(open_questions, []).append(image)
        outcome, strays = Answered(), Strays()
        with reported(progress, "Asking about images", sum(map(len, missing.values()))) as advance:
            for asked, unanswered in missing.items():

                def score(part: list[str], asked: tuple[str, ...] = asked) -> list[QuestionAnswers]:
                    return score_questions(model, wording, [inside(folder, image) for image in part], asked)

                chunk = max(1, _AT_ONCE // len(asked))
                for image, answers in answered(unanswered, folder, chunk, score):
                    if isinstance(answers, Unreadable):
                        outcome.problems[image] = answers.reason
                    else:
                        strays.count([None] * len(answers.yes) + [answers.stray] * answers.missing)
                        strays.require_any(model.identity.partition(" ")[0], "yes or no")
                        if answers.yes:
                            append({"image": image, "model": model.identity, "answers": answers.yes})
                            outcome.images += 1
                        if answers.missing:
                            outcome.problems[image] = answers.problem
                    advance("Asking about images")
        strays.require_any(model.identity.partition(" ")[0], "yes or no", least=1)
    return outcome


def fit_thresholds(identity: str, asked: Mapping[str, Sequence[str]], path: Path) -> None:
    """Choose each question's threshold on the answers about the training images, and append those that changed.

    `asked` names the images of each question, of all tasks that ask it.
    """
    sidecar = read_answers(path)
    with append_jsonl(path) as append:
        for question, images in asked.items():
            answers = [sidecar.answers.get(image, {}).get(question) for image in dict.fromkeys(images)]
            threshold = choose_threshold([a.probability for a in answers if a is not None and a.model == identity])
            if sidecar.thresholds.get((question, identity)) != threshold:
                append({"question": question, "model": identity, "threshold": threshold})


@dataclass(frozen=True, slots=True)
class QuestionAnswers:
    """What a model answers to questions about one image."""

    yes: dict[str, float]
    """Question → the probability of yes against no."""
    missing: int = 0
    """Questions that got another answer."""
    stray: str = ""
    """One of these."""

    @property
    def problem(self) -> str:
        return f"{self.missing} questions got neither yes nor no, but for example {shortened(self.stray)}"


def score_questions(
    model: VisionLanguageModel, wording: Wording, paths: Sequence[Path], questions: Sequence[str]
) -> list[QuestionAnswers]:
    """The probability of yes against no, to every question about every image."""
    scores = model.score([_question(wording, path, q) for path in paths for q in questions], wording.options)
    yes = probabilities(scores.log_probabilities)[:, 0].reshape(len(paths), len(questions))
    answered = scores.answered.reshape(yes.shape)
    found = []
    for row in range(len(paths)):
        strays = [stray for stray in scores.strays[row * len(questions) : (row + 1) * len(questions)] if stray]
        known = {q: _rounded(p) for q, p, there in zip(questions, yes[row], answered[row], strict=True) if there}
        found.append(QuestionAnswers(known, len(questions) - len(known), next(iter(strays), "")))
    return found


def _question(wording: Wording, path: Path, question: str) -> Conversation:
    return ask(Picture(path), Instruction(wording.answer.format(question=question)))


def _rounded(probability: float) -> float:
    return float(f"{probability:.5g}")


def _answered(known: QuestionSidecar, image: str, question: str, identity: str) -> bool:
    answer = known.answers.get(image, {}).get(question)
    return answer is not None and answer.model == identity


LOWEST, HIGHEST = 0.1, 0.9
"""A model that finds yes more probable, or less, on all images has seen no difference between them."""


def choose_threshold(probabilities: Sequence[float]) -> float:
    """The probability that best parts the answers to one question over the training images in two groups.

    It makes the variance of the log odds between the groups largest (Otsu 1979, "A threshold selection method from
    gray-level histograms") and looks at no label, so that held-out samples stay held out. Kept within [0.1, 0.9].
    """
    bounded = np.clip(np.array(probabilities, dtype=np.float64), 1e-4, 1 - 1e-4)
    values = np.sort(np.log(bounded / (1 - bounded)))
    if len(values) < 2 or values[0] == values[-1]:
        return 0.5
    below = np.arange(1, len(values))
    sums = np.cumsum(values)
    means = sums[:-1] / below
    above = (sums[-1] - sums[:-1]) / (len(values) - below)
    between = below * (len(values) - below) * (above - means) ** 2
    best = int(np.argmax(np.where(values[1:] > values[:-1], between, -1.0)))
    middle = (values[best] + values[best + 1]) / 2
    return round(float(np.clip(1 / (1 + np.exp(-middle)), LOWEST, HIGHEST)), 6)
