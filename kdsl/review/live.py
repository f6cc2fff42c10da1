"""A project that stays open while its files change: by `git pull`, an editor, `kdsl mine` or `kdsl train`."""

import gc
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kdsl.config import ProjectConfig
from kdsl.data.splits import stratified_sample
from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.label_matrix import label_array
from kdsl.project.project import Project
from kdsl.project.recorded import data_orders
from kdsl.project.refining import Refiner, searched
from kdsl.project.unlabelled import unlabelled_table
from kdsl.review.dataset import Dataset, Source, Stamps, recently_written, stamps_of
from kdsl.review.effect import NOT_TRAINED, TrainedArbiter, trained_files
from kdsl.review.model_predictions import prediction_files
from kdsl.review.reading import (
    Said,
    conditions_of,
    counted,
    read_and_ask,
    read_and_count,
    read_and_prepare,
    read_and_write,
)
from kdsl.review.site import Site
from kdsl.review.store import RuleStore
from kdsl.review.stored_hits import StoredHits
from kdsl.review.task_index import TaskIndex
from kdsl.sample import Sample, Task
from kdsl.subprocess_call import Stopped, call_in_subprocess

FRESH = 1.0
"""Seconds between looks for changes made outside. Data are read when they lay still from one look to the next."""
_AT_REST = 20.0
"""Seconds without a label given on the page until labels are counted on: who gives some gives more."""
_END = 5.0
"""Seconds that who stops waits for the background: a process that is starting just then would be left half told."""
_NEVER = 1_000_000_000
"""As many collections of younger objects come before the garbage collector looks through all."""

MOST_SHOWN = 50_000
"""Labelled samples of a task that the page looks at, by labels."""
_COLUMNS, _DAY = ".review-", 86400.0
"""Folders of columns on disk, and seconds after which nobody writes into one any more."""
_LARGE = 1 << 28
"""Bytes of data files from which on they are read in a process of its own from the beginning."""

Call = Callable[..., Any]
"""Calls a function with arguments, here or in another process."""


class LiveSite:
    """The `Site` of a project as its files are now. What cannot be read leaves it as it was, and is told."""

    def __init__(self, config: ProjectConfig, source: Source, reviewer: str) -> None:
        """Reads and counts everything; decisions are `reviewer`'s.

        Raises KdslError for what cannot be read: there is nothing to show yet.
        """
        self._config = config
        self._source = source
        self._read = stamps_of(source.files)
        self._labels = stamps_of([source.labels] if source.labels is not None else [])
        with out_of_the_way():
            if sum(path.stat().st_size for path in source.files if path.is_file()) >= _LARGE:
                # What reading takes of memory, many times of what is shown, goes with a process of its own.
                names = [task.name for task in Project(config).tasks]
                store = RuleStore(config.rules, names)
                reading = call_in_subprocess(threading.Event(), read_and_count, source.read, conditions_of(store))
            else:
                dataset = source.read()
                names = [task.name for task in dataset.tasks]
                store = RuleStore(config.rules, names)
                reading = counted(dataset, conditions_of(store))
            self.site = Site(config, reading, store, reviewer)
            self._kept = reading.kept
        self._trained = {name: stamps_of(trained_files(config.checkpoint, name)) for name in names}
        self._asked: dict[str, Stamps] = {}
        self._problems: dict[str, str] = {}
        self._not_to_refine: list[TaskIndex] = []
        self._all_counted: dict[str, tuple[Stamps, Stamps]] = {}
        """By task the files of which all samples were counted on."""
        self._stop = threading.Event()
        self._workers: list[threading.Thread] = []

    @property
    def changing(self) -> bool:
        """Whether data were changed and are not read again yet: a few looks at files, quickly answered."""
        return stamps_of(self._source.files) != self._read

    @property
    def problems(self) -> list[str]:
        """What was changed outside and cannot be used, so that what was there before still is: a sentence each."""
        found = list(self._problems.values())
        for index in self.site.indexes.values():
            found += [index.problem, index.no_predictions if index.predictions is not None else ""]
        return [sentence for sentence in found if sentence]

    def refresh(self) -> None:
        """Take in everything that was changed outside, at once."""
        self._take_rules()
        self._take_data(_here)
        self._take_trained()

    def ask_model(self) -> None:
        """Find out what the model says, where that is not known of the files as they are now; takes a while."""
        self._ask_model(_here)

    def count_all(self) -> None:
        """Count on all samples of tasks that have more than the page looks at; takes minutes for a million."""
        self._count_all(_here)

    def prepare_refining(self) -> None:
        """Prepare the samples on which rules are refined, where that is not done yet; takes seconds."""
        self._prepare_refining(_here)

    def start(self) -> None:
        """Ask the model, then keep looking for changes, in the background."""
        gc.freeze()  # what was read stays: looking through it for garbage would hold up requests, again and again
        # Counting on a million samples takes minutes, in which the page must go on seeing what changes.
        for work in (self._work, self._count):
            self._workers.append(threading.Thread(target=work, name="kdsl-review", daemon=True))
            self._workers[-1].start()

    def stop(self) -> None:
        """End what runs in the background, processes too."""
        self._stop.set()
        for worker in self._workers:
            worker.join(_END)

    def _work(self) -> None:
        with suppress(Stopped):
            self._keep_looking()

    def _count(self) -> None:
        with suppress(Stopped):
            while not self._stop.is_set():
                self._count_all(partial(call_in_subprocess, self._stop))
                self._stop.wait(FRESH)

    def _keep_looking(self) -> None:
        apart = partial(call_in_subprocess, self._stop)
        before = self._read
        while not self._stop.is_set():
            with out_of_the_way():
                self._take_rules()
                now = stamps_of(self._source.files)
                if now == before and (now != self._read or self._labels_settled()):  # nobody is writing
                    self._take_data(apart)
                    gc.collect()  # answered requests hold on to the site before, until they are found
                    gc.freeze()
                before = now
                self._take_trained()
                self._ask_model(apart)
                self._prepare_refining(apart)
            self._stop.wait(FRESH)

    def _take_rules(self) -> None:
        try:
            if self.site.store.refresh():
                for name in self.site.tasks:
                    self.site.overview(name)
            self._problems.pop("rules", None)
        except (OSError, KdslError) as error:
            self._problems["rules"] = str(error)

    def _labels_settled(self) -> bool:
        """Whether people gave labels, and have stopped: all is counted again for what they said."""
        log = self._source.labels
        return log is not None and stamps_of([log]) != self._labels and not recently_written(log, _AT_REST)

    def _take_data(self, call: Call) -> None:
        now = stamps_of(self._source.files)
        labels = stamps_of([self._source.labels] if self._source.labels is not None else [])
        if (now, labels) == (self._read, self._labels):
            return
        try:
            # Requests that are under way end with the site that they began with.
            self.site = self._read_again(call)
            self._problems.pop("data", None)
        except KdslError as error:
            self._problems["data"] = error.in_commands()
        self._read, self._labels = now, labels

    def _read_again(self, call: Call) -> Site:
        store = self.site.store
        reading = call(read_and_count, self._source.read, conditions_of(store))
        names = tuple(task.name for task in reading.dataset.tasks)
        if names != store.tasks:
            raise KdslError(f"the tasks are {', '.join(names)} now; start kdsl review again to review their rules")
        self._kept = reading.kept
        return Site(self._config, reading, store, self.site.reviewer, self.site)

    def _ask_model(self, call: Call) -> None:
        for name, index in self.site.indexes.items():
            stamps = stamps_of(prediction_files(self._config, name))
            unknown = index.predictions is None and not index.no_predictions
            if "data" in self._problems or not (unknown or self._asked.get(name) != stamps):
                continue
            self._asked[name] = stamps
            try:
                said = call(read_and_ask, self._kept, self._config, name)
            except KdslError as error:
                said = Said(None, error.in_commands(), None)
            if self.changing:  # it may have been asked about other samples: ask again once they are read
                del self._asked[name]
                return
            # What cannot be known any more is shown as it was.
            index.predictions = said.predictions or index.predictions
            index.no_predictions, index.opinions = said.no_predictions, said.unlabelled or index.opinions
            if said.guide is not None:
                self.site.labelling.guides[name] = said.guide
            self.site.overview(name)

    def _count_all(self, call: Call) -> None:
        for name, index in self.site.indexes.items():
            now = self._read, self._labels
            some = self._source.read_all is not None and self.site.counts.get(name, 0) > len(index.samples)
            if not some or self._all_counted.get(name) == now or "data" in self._problems or self.changing:
                continue
            try:
                index.everything = self._all_hits(call, name)
                index.no_everything = ""
            except KdslError as error:
                index.no_everything = error.in_commands()
            if self.changing or self.site.indexes.get(name) is not index:
                return  # they may be other samples: count again once they are read
            self._all_counted[name] = now

    def _all_hits(self, call: Call, name: str) -> StoredHits:
        if find_spec("pyarrow") is None:
            raise KdslError(
                f"to count on all samples pyarrow is needed, which is not installed: {install_command('arrow')}"
            )
        place = self._config.checkpoint
        try:
            place.mkdir(parents=True, exist_ok=True)
            _clear(place)
            # What is opened stays readable without its name, so nothing is left behind, however this process ends.
            with TemporaryDirectory(dir=place, prefix=_COLUMNS, ignore_cleanup_errors=True) as folder:
                conditions = conditions_of(self.site.store)
                written = call(read_and_write, self._source.read_all, name, Path(folder), conditions)
                return StoredHits(Path(folder), self.site.tasks[name], written, self.site.sidecars)
        except OSError as error:
            raise KdslError(
                f"{place}: the columns of all samples cannot be kept there ({error.strerror or error}); until they "
                "can, the page counts on some of the samples"
            ) from error

    def _prepare_refining(self, call: Call) -> None:
        """So that nobody has to wait for it who refines a rule; who refines one meanwhile waits and prepares it."""
        for name, index in self.site.indexes.items():
            if index.refiner is not None or index in self._not_to_refine or "data" in self._problems:
                continue
            try:
                problem = call(read_and_prepare, self._kept, self._config, name)
            except KdslError:
                self._not_to_refine.append(index)  # who tries to refine a rule is told why
                continue
            if self.changing:  # it may be about other samples
                return
            index.refiner = Refiner(problem, searched(self._config, index.task, index.table))

    def _take_trained(self) -> None:
        for name, task in self.site.tasks.items():
            now = stamps_of(trained_files(self._config.checkpoint, name))
            if now == self._trained[name]:
                continue
            try:
                arbiter = TrainedArbiter.load(self._config.checkpoint, task)
                self.site.arbiters[name] = arbiter, "" if arbiter is not None else NOT_TRAINED
                self._problems.pop(name, None)
            except KdslError as error:
                self._problems[name] = error.in_commands()
            self._trained[name] = now


def _clear(place: Path) -> None:
    """Take away what a process left that was killed while it wrote columns: nobody writes for a day."""
    for folder in place.glob(f"{_COLUMNS}*"):
        if time.time() - folder.stat().st_mtime > _DAY:
            shutil.rmtree(folder, ignore_errors=True)


def _here(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@contextmanager
def out_of_the_way() -> Iterator[None]:
    """For long work beside requests, which should not have to wait for it."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    gc.set_threshold(*thresholds[:2], _NEVER)  # every thread waits while a million new objects are looked through
    sys.setswitchinterval(0.0005)  # a request asks for its turn after every write to disk: 5 ms each add up
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


def open_live(project: Project, by: str) -> LiveSite:
    """Everything that the page shows of a project, read and counted, and read again when its files change."""
    config, data = project.config, project.config.data
    tasks = [config.folder / name for name in config.tasks]
    files = [data.train, data.unlabelled, data.ocr, data.captions, data.questions, data.transcripts]
    files += [data.feedback_log]
    if data.test is not None:  # what stands there is not learned from, whoever gave feedback about it
        files.append(data.test)
    files += [path for path in tasks if path.is_file()]
    return LiveSite(
        config,
        Source(
            partial(_read, config), [path for path in files if path is not None], data.label_log,
            partial(_read_all, config),
        ),
        by,
    )  # fmt: skip


def _read(config: ProjectConfig) -> Dataset:
    """Everything that the data files of a project say now."""
    now = Project(config)
    labelled = {task.name: list(_labelled(now.samples(), task)) for task in now.tasks}
    counts = {name: len(samples) for name, samples in labelled.items()}
    shown = {task.name: _shown(labelled[task.name], task, config) for task in now.tasks}
    unlabelled = {task.name: [row.sample for row in unlabelled_table(now, task).rows] for task in now.tasks}
    return Dataset(now.tasks, shown, now.sidecars(), data_orders(now), unlabelled, now.feedback(), counts)


def _read_all(config: ProjectConfig, name: str) -> tuple[Task, Iterator[Sample], Sidecars]:
    """All labelled samples of a task."""
    now = Project(config)
    task = now.task(name)
    return task, _labelled(now.iterate_training(), task), now.sidecars()


def _labelled(samples: Iterable[Sample], task: Task) -> Iterator[Sample]:
    return (sample for sample in samples if sample.task == task.name and sample.answer is not None)


def _shown(samples: list[Sample], task: Task, config: ProjectConfig) -> list[Sample]:
    """Of very many samples some of those that rules were searched on: a page of more would be no other one."""
    ids, labels = [sample.id for sample in samples], label_array(samples, task)
    rows = stratified_sample(ids, labels, min(config.mining.max_samples, MOST_SHOWN), config.seed)
    return [samples[row] for row in rows.tolist()]
