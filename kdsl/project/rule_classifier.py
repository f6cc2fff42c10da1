"""A scikit-learn classifier: rules, a trained model and an arbiter, from samples and labels in memory."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.multi_label import decided
from kdsl.arbiter.multi_label_decision import MultiLabelDecision
from kdsl.arbiter.trained import TrainedTask
from kdsl.config import (
    CONFIG_NAME,
    EMBEDDED,
    EMBEDDED_ENCODER,
    EMBEDDED_SPEECH,
    NO_ENCODER,
    ProjectConfig,
    load_config,
)
from kdsl.data.given import samples_given
from kdsl.data.plain import UNNAMED_TASK
from kdsl.data.readers import read_samples
from kdsl.data.splits import stratified_sample
from kdsl.data.writers import plain_record
from kdsl.embeddings.load import vectors_in_memory
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.files import path_given, write_atomically
from kdsl.json_file import write_jsonl
from kdsl.label_matrix import label_array
from kdsl.mining.archive import ARCHIVE_FILE, load_archive, write_archive
from kdsl.mining.miner import MiningSettings
from kdsl.mining.search import SearchSettings
from kdsl.mining.update import MinedRules
from kdsl.models.embedded import Embedded, EmbeddedTrainer
from kdsl.project.fitting import fit, mine_in_memory
from kdsl.project.given_media import GivenMedia
from kdsl.project.labels import are_several, label_lists_given, labels_given, task_of
from kdsl.project.several_labels import require_possible
from kdsl.project.small_parts import meaning_parts
from kdsl.project.task import TaskProject, left_over
from kdsl.record_file import read_record
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import statistics_path, write_statistics
from kdsl.rules.table import RuleTable
from kdsl.sample import Sample, Task
from kdsl.tasks import load_task, task_text
from kdsl.yaml_file import first_mistake, yaml_string

CLASSES_FILE = "classes.json"
"""In a saved classifier: the labels as `y` had them."""
_TASK_FILE = "tasks/samples.yaml"
_TRAIN_FILE = "data/train.jsonl"
_CHECKPOINT = "checkpoints/run"
_REMEDY = "save the classifier again"


class RuleClassifier(ClassifierMixin, BaseEstimator):
    """Mines rules from labelled samples, trains a classifier beside them, and lets an arbiter merge both.

    `X` is a list of texts, of dicts like `{"text": …}` or `{"turns": […], "images": […]}`, of `kdsl.Sample`, or a
    DataFrame with such columns. It is what `kdsl mine` and `kdsl train` do, in memory.

    Parameters
    ----------
    labels : the closed list of labels where `y` may lack some, or to describe them: a list of names, a dict of names
        and descriptions, or a list of `kdsl.Label`. Descriptions help where samples are few. None: the labels in `y`.
    large : the classifier beside the rules, "linear" or "neighbours". For vision-language models use `kdsl.Project`.
    seed : the same seed and samples give the same rules and the same model.
    max_conditions : of a rule, at most.
    iterations : of the search, for every label and fold.
    images : the folder that image names are relative to.
    ocr : the file with the text on the images, which is made and added to where RapidOCR is installed. None: rules and
        model see no text on images.
    audio : the folder that names of sounds are relative to.
    transcripts : the file with what is said in sounds, which is made and added to; None keeps it nowhere.
    speech : what transcribes sounds: "pocketsphinx" (embedded, English only, the extra `voice`), or a Whisper model: a
        directory, a hub id or a server's address.
    n_jobs : processes that search; None is 1 and -1 one a core, as everywhere in scikit-learn.
    encoder : what turns sentences into vectors, for rules and model: "use" (embedded, the extra `meaning`), a
        directory, a hub id or a server's address; "none": they know characters alone. Where its package is not
        installed, a warning says so and `fit` goes on as with "none".
    other : the label of what belongs to none of the others; no sample in `y` need have it. None: everything belongs to
        a label.
    abstain : when a decision is handed to a person, so that `predict` gives None: {"error": 0.05}, so many of the
        decisions may be wrong, or {"share": 0.2}, so many of the samples are handed over. None: every one is decided.
    max_samples : that are learned from; of more a sample of so many, by labels. Rules are counted on all.

    Attributes
    ----------
    classes_ : the labels, sorted. [n_labels]
    rules_ : `RuleTable`, the mined rules with what was measured about them; a table in a notebook.

    Examples
    --------
    >>> texts = ["is it dimmable", "can I dim it", "dimmable?", "when does it ship", "ship it today", "shipping"]
    >>> classifier = RuleClassifier(iterations=50).fit(texts, ["dim"] * 3 + ["shipping"] * 3)
    >>> classifier.predict(["does it ship tomorrow"])
    array(['shipping'], dtype='<U8')
    >>> classifier.explain("is this dimmable").label
    'dim'
    """

    def __init__(
        self,
        labels: Sequence[Any] | Mapping[Any, str] | None = None,
        large: str = "linear",
        seed: int = 0,
        max_conditions: int = 3,
        iterations: int = 2000,
        images: str | Path | None = None,
        ocr: str | Path | None = None,
        n_jobs: int | None = None,
        encoder: str = EMBEDDED_ENCODER,
        other: Any = None,
        abstain: Mapping[str, float] | None = None,
        audio: str | Path | None = None,
        transcripts: str | Path | None = None,
        speech: str = EMBEDDED_SPEECH,
        max_samples: int = 100_000,
    ) -> None:
        self.labels = labels
        self.large = large
        self.seed = seed
        self.max_conditions = max_conditions
        self.iterations = iterations
        self.images = images
        self.ocr = ocr
        self.n_jobs = n_jobs
        self.encoder = encoder
        self.other = other
        self.abstain = abstain
        self.audio = audio
        self.transcripts = transcripts
        self.speech = speech
        self.max_samples = max_samples

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may give it: texts, no matrix of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from samples with their labels `y` [n_samples].

        Where a sample may have several labels, or none, `y` is a list of lists; see docs/several_labels.md.

        Raises KdslError for anything that is no sample, for labels that are missing or not listed in `labels`, and
        where all samples have the same label.
        """
        samples = _samples(X, "X")
        multi = are_several(y)
        lists, values = label_lists_given(y, len(samples)) if multi else ([], labels_given(y, len(samples)))
        classes, task = task_of(values, self.labels, self.other)
        if multi and task.other is not None:
            raise KdslError(f"RuleClassifier: other is {task.other!r}; of several labels none holds where y has []")
        task = replace(task, multi=multi)
        config = self._config(task)
        places = np.searchsorted(classes, values).tolist()
        if multi:
            rest = iter(places)
            samples = [
                replace(sample, labels=tuple(task.label_names[i] for i in sorted(next(rest) for _ in given)))
                for sample, given in zip(samples, lists, strict=True)
            ]
        else:
            samples = [
                replace(sample, label=task.label_names[place]) for sample, place in zip(samples, places, strict=True)
            ]
        trainer = EmbeddedTrainer(task, Embedded.of(config), config.seed)
        search = SearchSettings(config.mining.max_conditions, config.mining.iterations)
        vectors = _vectors(config)
        labels = label_array(samples, task)
        most = config.mining.max_samples
        rows = stratified_sample([sample.id for sample in samples], labels, most, config.seed)
        own = TaskProject(
            task,
            self._table(samples, vectors and vectors.if_available()).select(rows.tolist()),
            labels[rows],
            MiningSettings(search),
            config.seed,
            learn=lambda rules: trainer,
            small=meaning_parts,
            abstain=config.abstain,
            rest=left_over(samples, rows),
        )
        mined = mine_in_memory(own, self._workers())
        self._keep(classes, fit(own, mined), mined, samples)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of every sample, as `y` had it; None where a decision is handed to a person. [n_samples]

        Of several labels a list of those that hold.
        """
        probabilities = self.predict_proba(X)
        arbiter = self._trained.arbiter
        if arbiter.multi:
            held = np.empty(len(probabilities), dtype=object)
            held[:] = [self.classes_[row].tolist() for row in decided(probabilities, np.array(arbiter.thresholds))]
            return held
        found = self.classes_[probabilities.argmax(axis=1)]
        if arbiter.abstention is None:
            return found
        sure = found.astype(object)
        sure[probabilities.max(axis=1) < arbiter.abstention.below] = None
        return sure

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of every label, in the order of `classes_`: [n_samples, n_labels].

        Rows sum to 1, but where a sample may have several labels: each is then as probable by itself.
        """
        check_is_fitted(self)
        table = self._table(_samples(X, "X"), _vectors(self._config(self._trained.task)))
        probabilities = self._trained.predict(table)[2]
        _tell(table)
        return probabilities

    def explain(self, x: Any) -> Decision | MultiLabelDecision:
        """The decision on one sample, a text, a dict or a `kdsl.Sample`: with rules, their evidence and a reason."""
        check_is_fitted(self)
        samples = _samples([x] if isinstance(x, str | Mapping | Sample) else x, "x")
        if len(samples) != 1:
            raise KdslError(f"x: explain takes one sample, not {len(samples)}; give a text, a dict or a kdsl.Sample")
        table = self._table(samples, _vectors(self._config(self._trained.task)))
        decision = self._trained.decide(table)[0]
        _tell(table)
        return decision

    def save(self, folder: str | Path) -> None:
        """Write everything into a new folder, which is a project: `kdsl review` and `kdsl predict` take it.

        The training samples go along. Raises KdslError where the folder holds something already, and where it cannot
        be written; nothing half-written stays.
        """
        check_is_fitted(self)
        folder = path_given(folder, "folder")
        try:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise KdslError(
                    f"{folder}: is not empty; give a new folder, as rules in it may hold people's decisions"
                )
            folder.absolute().parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as made:
                self._write(Path(made) / "saved")
                os.replace(Path(made) / "saved", folder)
        except OSError as error:
            raise KdslError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error

    @classmethod
    def load(
        cls,
        folder: str | Path,
        images: str | Path | None = None,
        ocr: str | Path | None = None,
        n_jobs: int | None = None,
        audio: str | Path | None = None,
        transcripts: str | Path | None = None,
    ) -> Self:
        """What `save` wrote, with what people have decided about its rules since; files and folders as for a new one.

        Raises KdslError where something is missing or damaged.
        """
        folder = path_given(folder, "folder")
        config, task = load_config(folder), load_task(_TASK_FILE, folder)
        saved = read_record(_Classes, folder / CLASSES_FILE, _REMEDY)
        classes = saved.array()
        if tuple(map(str, classes)) != task.label_names:
            raise KdslError(f"{folder / CLASSES_FILE}: has other labels than {folder / _TASK_FILE}; {_REMEDY}")
        base = RuleBase.load(folder / "rules", task.name)
        checkpoint = folder / _CHECKPOINT
        archive = load_archive(checkpoint / task.name / ARCHIVE_FILE)
        made = cls(
            {value: label.description for value, label in zip(classes.tolist(), task.labels, strict=True)},
            config.large,
            config.seed,
            config.mining.max_conditions,
            config.mining.iterations,
            images,
            ocr,
            n_jobs,
            config.encoder,
            next((value for value in classes.tolist() if str(value) == task.other), None),
            None if config.abstain is None else config.abstain.model_dump(exclude_none=True),
            audio,
            transcripts,
            config.speech,
            config.mining.max_samples,
        )
        known = Sidecars(vectors=_vectors(config))
        trained = TrainedTask.load(task, checkpoint, base.rules, embedded=Embedded.of(config), sidecars=known)
        made._keep(
            classes,
            trained,
            MinedRules(tuple(base.rules), base.statistics(), archive),
            read_samples(folder / _TRAIN_FILE, [task]),
        )
        return made

    def _keep(self, classes: NDArray[Any], trained: TrainedTask, mined: MinedRules, samples: Sequence[Sample]) -> None:
        self.classes_ = classes
        self.rules_ = RuleTable(trained.rules, mined.statistics)
        self._trained = trained
        self._mined = mined
        self._learned_from = list(samples)

    def _write(self, folder: Path) -> None:
        task, trained, mined = self._trained.task, self._trained, self._mined
        write_atomically(folder / CONFIG_NAME, _config_text(self._config(task)))
        write_atomically(folder / _TASK_FILE, task_text(task))
        classes = _Classes(classes=self.classes_.tolist(), dtype=self.classes_.dtype.str)
        write_atomically(folder / CLASSES_FILE, classes.model_dump_json(indent=1) + "\n")
        write_jsonl(folder / _TRAIN_FILE, map(plain_record, self._learned_from))
        base = RuleBase(folder / "rules", task.name)
        for rule in mined.rules:
            base.save(rule)
        write_statistics(statistics_path(base.folder, task.name), mined.statistics.values())
        checkpoint = folder / _CHECKPOINT / task.name
        write_archive(mined.archive, checkpoint / ARCHIVE_FILE)
        trained.save(checkpoint, self.large)

    def _config(self, task: Task) -> ProjectConfig:
        """The parameters as entries of kdsl.yaml, which tells what is wrong with them."""
        if self.large not in EMBEDDED:
            raise KdslError(
                f"RuleClassifier: large is {self.large!r}; it is {' or '.join(map(repr, EMBEDDED))} here, and for a "
                "vision-language model or recorded predictions use kdsl.Project"
            )
        for name in ("images", "ocr", "audio", "transcripts"):
            if (path := getattr(self, name)) is not None:
                path_given(path, f"RuleClassifier: {name}")
        described = not task.multi and any(label.description for label in task.labels)
        entries = {
            "tasks": [_TASK_FILE],
            "encoder": self.encoder,
            "small": "lexical" if self.encoder == NO_ENCODER else "meaning",
            "large": self.large,
            "speech": self.speech,
            "seed": _number(self.seed),
            "mining": {
                "max_conditions": _number(self.max_conditions),
                "iterations": _number(self.iterations),
                "max_samples": _number(self.max_samples),
            },
            "abstain": None if self.abstain is None else {name: _number(v) for name, v in dict(self.abstain).items()},
            "prompt": {"ocr": self.ocr is not None, "knowledge": len(task.labels) if described else 0},
        }
        try:
            # Where the encoder is a directory, it is one of the current directory, wherever this is saved.
            config = ProjectConfig.model_validate(entries, context={"folder": Path.cwd()})
        except ValidationError as error:
            raise KdslError(f"RuleClassifier: {first_mistake(ProjectConfig, error)}") from error
        require_possible(config, [task])
        return config

    def _workers(self) -> int:
        try:
            return effective_n_jobs(None if self.n_jobs is None else index(self.n_jobs))
        except (ValueError, TypeError) as error:
            raise KdslError(f"RuleClassifier: n_jobs is {self.n_jobs!r}; give a number of processes, or -1") from error

    def _table(self, samples: Sequence[Sample], vectors: SentenceVectors | None) -> FieldTable:
        media = GivenMedia(
            _path(self.images), _path(self.ocr), _path(self.audio), _path(self.transcripts), self.speech
        )
        return FieldTable(samples, media.known(samples, vectors, self._workers()))


class _Classes(BaseModel):
    """`classes_` of a saved classifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    classes: list[str | bool | int | float]
    dtype: Annotated[str, Field(pattern=r"^[<>|=][biufUO]\d*$")]

    def array(self) -> NDArray[Any]:
        return np.array(self.classes, dtype=np.dtype(self.dtype))


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _samples(given: Any, name: str) -> list[Sample]:
    """Of the one task that the classifier has; what they say about their task and label is not looked at."""
    samples = samples_given(given, (), name, frozenset({"task", "label"}))
    return [replace(sample, task=UNNAMED_TASK) for sample in samples]


def _vectors(config: ProjectConfig) -> SentenceVectors | None:
    """Those of `encoder`, of which all classifiers of this process have the same; None without one."""
    return None if config.encoder == NO_ENCODER else vectors_in_memory(config.encoder, Path.cwd())


def _tell(table: FieldTable) -> None:
    """Log counted warnings of texts without a vector and of images that could not be looked at."""
    if table.sentence_vectors is not None:
        table.sentence_vectors.tell()
    table.tell_unseen()


def _number(value: Any) -> Any:
    """Without numpy's own types, of which parameter grids are made."""
    return value.item() if isinstance(value, np.generic) else value


def _config_text(config: ProjectConfig) -> str:
    budget, prompt = config.mining, config.prompt
    asked = {} if config.abstain is None else config.abstain.model_dump(exclude_none=True)
    abstain = "".join(f"abstain: {{{name}: {value}}}\n" for name, value in asked.items())
    return f"""\
# Saved by kdsl.RuleClassifier. Every command takes it, such as kdsl review and kdsl predict.
tasks: [{_TASK_FILE}]
data: {{train: {_TRAIN_FILE}}}
encoder: {yaml_string(config.encoder)}
small: {config.small}
large: {config.large}
speech: {yaml_string(config.speech)}
checkpoint: {_CHECKPOINT}
seed: {config.seed}
{abstain}mining:
  max_conditions: {budget.max_conditions}
  iterations: {budget.iterations}
  max_samples: {budget.max_samples}
prompt: {{ocr: {str(prompt.ocr).lower()}, knowledge: {prompt.knowledge}}}
"""
