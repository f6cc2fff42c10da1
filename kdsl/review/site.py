"""Everything the page knows about a project, from one reading of its data."""

from itertools import chain

from kdsl.config import ProjectConfig
from kdsl.review.dataset import of_images
from kdsl.review.effect import arbiter_or_reason
from kdsl.review.journal import undoable
from kdsl.review.label_review import LabelReview
from kdsl.review.labelling import Labelling
from kdsl.review.media import Media
from kdsl.review.queue import Query, ordered
from kdsl.review.reading import Reading
from kdsl.review.sample_hits import SampleHits
from kdsl.review.service import Service
from kdsl.review.store import RuleStore
from kdsl.review.task_index import Overview, TaskIndex
from kdsl.rules.statistics import statistics_path
from kdsl.sample import Task


class Site:
    """A project opened for review: rules as they are now, and samples as they were when it was made."""

    def __init__(
        self, config: ProjectConfig, reading: Reading, store: RuleStore, reviewer: str, before: "Site | None" = None
    ) -> None:
        """`reviewer` is who decides here. `before` is the site until now: what did not change is taken from it."""
        dataset = reading.dataset
        self.config = config
        self.tasks = {task.name: task for task in dataset.tasks}
        self.sidecars = dataset.sidecars
        self.feedback = dataset.feedback
        self.counts = dataset.counts
        """Labelled samples of each task, where not all are looked at."""
        self.reviewer = reviewer
        self.store = store
        self.labelling: Labelling = Labelling() if before is None else before.labelling
        """Which samples to label next."""
        self.indexes = {name: self._index(task, reading, before) for name, task in self.tasks.items()}
        self.arbiters = {name: arbiter_or_reason(config.checkpoint, task) for name, task in self.tasks.items()}
        self.labels: LabelReview = LabelReview(config) if before is None else before.labels
        """What speaks against the samples' labels, and what people say that they are."""
        self.service: Service = Service(config, self.tasks) if before is None else before.service
        """What a prediction service left: its decisions, and feedback to them."""
        groups = [*dataset.samples.values(), *dataset.unlabelled.values()]
        self.media: Media = Media(config.data, chain(*groups), None if before is None else before.media)
        self._queue: tuple[object, list[str]] | None = None
        for name in self.tasks:
            self.overview(name)

    def _index(self, task: Task, reading: Reading, before: "Site | None") -> TaskIndex:
        samples = tuple(reading.dataset.samples[task.name])
        unlabelled = tuple(reading.dataset.unlabelled.get(task.name, ()))
        if before is not None and task.name in before.indexes:
            known = before.indexes[task.name]
            same = of_images(before.sidecars) == of_images(self.sidecars)
            if same and (known.task, known.samples, known.unlabelled.samples) == (task, samples, unlabelled):
                return known
        statistics = statistics_path(self.config.rules, task.name)
        training = SampleHits(task, samples, self.sidecars, reading.counted[task.name])
        others = SampleHits(task, unlabelled, self.sidecars, reading.unlabelled[task.name])
        return TaskIndex(task, training, others, statistics)

    def overview(self, task: str) -> Overview:
        """All rules of the task with their counts, as they are now."""
        generation = self.store.generation
        return self.indexes[task].overview(self.store.rules(task), generation)

    def queue(self, task: str, query: Query) -> list[str]:
        """Ids of the rules that pass, in order; the page of a rule and the decision on it ask for the same."""
        key = task, query, self.store.generation, self.indexes[task].predictions, self.indexes[task].opinions
        if self._queue is None or self._queue[0] != key:
            overview = self.overview(task)
            failing = self.failing(task) if query.flag == "tests" else ()
            self._queue = key, [
                overview.rules[i].rule.id for i in ordered(overview, query, self.skipped(), failing)
            ]  # fmt: skip
        return self._queue[1]

    def skipped(self) -> set[str]:
        """Rules that the reviewer left for later."""
        return {event.rule for event in undoable(self.store.journal(self.reviewer)) if event.action == "skip"}

    def failing(self, task: str) -> set[str]:
        """Rules that a test of their own fails for."""
        overview, index = self.overview(task), self.indexes[task]
        failing = set()
        for stored in overview.rules:
            tests = stored.rule.tests
            for sample, expected in [(s, True) for s in tests.hit] + [(s, False) for s in tests.miss]:
                if index.hit(stored, sample) is not expected:
                    failing.add(stored.rule.id)
        return failing
