"""Labels on the page: what speaks against them, what people say that they are, and what they left for later."""

import threading
from collections.abc import Sequence

from kdsl.arbiter.arbiter import ARBITER_FILE
from kdsl.config import ProjectConfig
from kdsl.data.feedback import FeedbackLog
from kdsl.data.label_log import LabelLog
from kdsl.models.out_of_fold_file import OUT_OF_FOLD_FILE
from kdsl.project.label_issues import LabelIssue, LabelledSamples, ModelAndRules, find_label_issues
from kdsl.review.dataset import of_images, stamps_of
from kdsl.review.store import StoredRule
from kdsl.review.task_index import TaskIndex


class LabelReview:
    """Safe for threads. It stays while the site is read anew, and what takes long with it."""

    def __init__(self, config: ProjectConfig) -> None:
        self._config = config
        self.log: LabelLog = LabelLog(config.data.label_log, feedback=FeedbackLog(config.data.feedback_log))
        self._mutex = threading.RLock()
        self._labelled: dict[str, tuple[TaskIndex, LabelledSamples | None]] = {}
        self._found: dict[str, tuple[object, ModelAndRules]] = {}
        self._skipped: dict[str, dict[str, None]] = {}

    def issues(self, index: TaskIndex, rules: Sequence[StoredRule], generation: int) -> list[LabelIssue]:
        """What to look at, the most doubtful first, and what was skipped last; `rules` are those of `generation`.

        Takes seconds for thousands of samples when it is first asked for. Raises KdslError where no model was trained.
        """
        with self._mutex:
            task = index.task.name
            labelled = self._labelled_samples(index)
            if labelled is None:
                return []
            folder = self._config.checkpoint / task
            files = stamps_of([folder / OUT_OF_FOLD_FILE, folder / ARBITER_FILE])
            made_of = (labelled.fingerprints, generation, files)
            known = self._found.get(task)
            if known is None or known[0] != made_of:
                found = ModelAndRules.of(labelled, self._config.checkpoint, [stored.rule for stored in rules])
                known = self._found[task] = made_of, found
            issues = find_label_issues(labelled, known[1], self.log.given())
            later = [*self._skipped.get(task, ())]
            return sorted(
                issues, key=lambda issue: later.index(key) + 1 if (key := issue.sample.fingerprint) in later else 0
            )

    def _labelled_samples(self, index: TaskIndex) -> LabelledSamples | None:
        known, before = self._labelled.get(index.task.name, (None, None))
        if known is not index:
            same = known is not None and of_images(known.table.sidecars) == of_images(index.table.sidecars)
            images = self._config.data.images
            before = LabelledSamples.of(index.task, index.table, images, before if same else None)
            self._labelled[index.task.name] = index, before
        return before

    def skip(self, task: str, fingerprint: str) -> None:
        """Show the sample after all others from now on, until the page is started again."""
        with self._mutex:
            skipped = self._skipped.setdefault(task, {})
            skipped.pop(fingerprint, None)
            skipped[fingerprint] = None
