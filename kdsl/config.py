"""kdsl.yaml: one file describes a project."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from kdsl.errors import Hint, KdslError
from kdsl.yaml_file import first_mistake, read_yaml, validate

CONFIG_NAME = "kdsl.yaml"
RECORDED = "recorded:"
EMBEDDED = ("linear", "neighbours")
"""What `large:` names that needs no weights."""
SMALL_EMBEDDED = ("lexical", "meaning")
"""The same of `small:`."""
NO_ENCODER, EMBEDDED_ENCODER = "none", "use"
"""What `encoder:` names that is no directory, hub id or address."""

_AS_WRITTEN = ("encoder", "small", "large", "rules", "checkpoint")
"""Overrides of these keys, and of those in `data`, are taken as text: a file may be called 2024 or true."""


def _in_folder(value: Any, info: ValidationInfo) -> Any:
    """A path relative to the folder of the configuration; without a folder, as it stands."""
    if isinstance(value, str) and "\0" in value:
        raise ValueError(f"{value!r} is not a path; no name of a file holds a NUL")
    if isinstance(value, str) and value:
        value = Path(value)
    elif not isinstance(value, Path):
        raise ValueError(f"{value!r} is not a path; write a file or folder name")
    folder = (info.context or {}).get("folder")
    value = value.expanduser()
    return folder / value if folder is not None else value


ProjectPath = Annotated[Path, BeforeValidator(_in_folder)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False
    )  # fmt: skip


class ColumnsConfig(_Part):
    """Which columns of tables, or keys of records, are what, where their names do not tell."""

    text: list[str] = []
    """What was said; the texts of several columns are joined by line breaks."""
    turns: str = ""
    """Dialogues: lists of turns, or lines that name the speakers."""
    images: list[str] = []
    """File names of images."""
    label: str = ""
    """The label; in a labelling tool's export the question that it answers."""
    id: str = ""
    """What tells samples apart."""

    @field_validator("text", "images", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class DataConfig(_Part):
    """Where the data of a project lie."""

    train: ProjectPath | None = None
    """Labelled samples; the format is detected."""
    test: ProjectPath | None = None
    """Other labelled samples, which results are measured on."""
    images: ProjectPath | None = None
    """The folder that image file names are relative to."""
    ocr: ProjectPath | None = None
    """Text on the images, one JSON line an image; `kdsl ocr` writes it."""
    captions: ProjectPath | None = None
    """Captions of the images, one JSON line an image; `kdsl caption` writes it."""
    questions: ProjectPath | None = None
    """Answers of a small model to visual questions about the images; `kdsl mine` writes it."""
    reasons: ProjectPath | None = None
    """Why training samples have their labels, one JSON line a sample."""
    knowledge: ProjectPath | None = None
    """A folder of Markdown and JSON Lines about the products and the shop."""
    unlabelled: ProjectPath | None = None
    """Samples without labels: mining looks at rules on them, accepted rules label them for the classifier to learn
    from, and a teacher may."""
    distilled: ProjectPath | None = None
    """Samples that a teacher labelled, trained on besides those of `train`."""
    columns: ColumnsConfig = ColumnsConfig()
    """Which columns hold what, in all files of samples; files in KDSL's own form need nothing."""
    labels: dict[str, str] = {}
    """What files call labels → the labels of the tasks, such as `{"0": refund, "1": size}`."""

    @field_validator("labels", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return {str(key): name for key, name in value.items()} if isinstance(value, dict) else value


class FieldsConfig(_Part):
    """What of a sample is looked at: by the classifier, by rules, and in prompts."""

    last_agent: bool = True
    """What the agent answers in the end; `false` where predictions are made before the agent answers."""

    visual: bool = True
    """What images look like, beside the text on them: their kind, their colours, and what the classifier sees."""

    @property
    def left_out(self) -> frozenset[str]:
        """The fields of rules that are not looked at."""
        answer = () if self.last_agent else ("last_agent",)
        looks = () if self.visual else ("image.kind", "image.colour")
        return frozenset((*answer, *looks))


class MiningConfig(_Part):
    """The budget of the rule search."""

    max_conditions: int = Field(3, ge=1)
    """Conditions in a rule, at most."""
    iterations: int = Field(2000, ge=1)
    """Search iterations for every label."""
    focus: float = Field(0.0, ge=0, lt=1)
    """How much less a sample counts if the classifier predicts it well out of fold; 0 was best in all measurements."""
    least_precision: float = Field(0.6, ge=0, lt=1)
    """Expected precision on new samples, from which a mined rule enters the rule base."""
    questions: int = Field(2, ge=0)
    """Visual questions that a small model writes for every label."""
    calls: int = Field(2000, ge=0)
    """Calls of a small model for terms, priors, nodes and judgements while a task is mined, at most."""


class PixelsConfig(_Part):
    """The area of a picture as a vision-language model sees it: in training, evaluation and prediction."""

    min: int = Field(56 * 56, ge=28 * 28)
    """Smaller pictures are enlarged to this area."""
    max: int = 768 * 28 * 28
    """Larger pictures are reduced to this area."""

    @model_validator(mode="after")
    def _order(self) -> "PixelsConfig":
        if self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}; swap them")
        return self


class PromptConfig(_Part):
    """What the large model sees besides the task's prompt."""

    descriptions: bool = False
    """Add the labels' descriptions."""
    ocr: bool = False
    """Add the text on the images, cleaned."""
    ocr_tokens: int = Field(512, ge=16)
    """Tokens of that text, at most; the least informative lines are left out."""
    neighbours: int = Field(0, ge=0)
    """How many of the nearest training samples to add, with their labels."""
    embeddings: Literal["text", "model"] = "text"
    """How nearness is measured: by texts, and by their meaning where there is an encoder; or by hidden states of the
    large model, which costs one more call."""
    knowledge: int = Field(0, ge=0)
    """How many passages to add: label descriptions, accepted rules and pages of the knowledge folder that fit best."""
    max_tokens: int = Field(8192, ge=64)
    """Longer prompts lose whole pieces: what was added, then the earliest turns and pictures."""


class LimitsConfig(_Part):
    """What predicting one sample may cost; null is unlimited."""

    calls: int | None = Field(3, ge=1)
    """Model calls."""
    tokens: int | None = Field(100, ge=1)
    """Output tokens."""


class AugmentConfig(_Part):
    """Changed copies of the training samples, which the classifier learns from too."""

    copies: int = Field(0, ge=0, le=100)
    """For each sample, on average: samples of rare labels get more, of frequent ones fewer."""
    text: bool = True
    """Change texts."""
    images: bool = True
    """Change images."""
    paraphrase: bool = False
    """Let the small model rephrase texts."""


class DistillConfig(_Part):
    """How a teacher labels samples without labels."""

    teacher: str | None = None
    """The address of a server, such as http://localhost:8000/v1."""
    confidence: float = Field(0.8, gt=0, le=1)
    """The least probability of a label that is kept."""
    rounds: int = Field(1, ge=1)
    """Rounds, at most: it stops when weighted F1 does not rise."""


class TrainingConfig(_Part):
    """How the large model is fine-tuned."""

    method: Literal["lora", "qlora", "full", "none"] = "lora"
    """`none`: the model is used zero-shot."""
    epochs: int = Field(5, ge=1)
    """Epochs, at most: training stops early when the held-out samples are predicted no better."""
    learning_rate: float | None = Field(None, gt=0, strict=False)  # to YAML 1.1, 1e-4 is text
    """`null`: 1e-4 for lora and qlora, 5e-6 for full."""
    batch: int = Field(16, ge=1)
    """Samples a step."""
    at_once: int = Field(1, ge=1)
    """Samples in a device's memory at once; a step takes several such portions."""
    held_out: float = Field(0.2, gt=0, lt=1)
    """Share of the training samples that is held out for early stopping and the arbiter."""
    patience: int = Field(2, ge=1)
    """Epochs without a better weighted F1 before training stops."""
    vision: bool = False
    """Train the vision tower too; only with `method: full`."""
    target: Literal["label", "reason_label", "label_reason"] = "label"
    """What the answer holds: the label alone, or the reason for it too, before or after it."""

    @model_validator(mode="after")
    def _vision(self) -> "TrainingConfig":
        if self.vision and self.method != "full":
            raise ValueError("vision: true goes with `method: full` only; LoRA is for the language model")
        return self


class ProjectConfig(_Part):
    """A project; all paths lead from the current directory once loaded by `load_config`."""

    tasks: list[str] = Field(min_length=1)
    """Shipped tasks (mire_intent, mire_scene) or paths of task files."""
    data: DataConfig = DataConfig()
    encoder: str = NO_ENCODER
    """What turns sentences into vectors: `none`, `use` (embedded), or a directory, a hub id or a server's address."""
    fields: FieldsConfig = FieldsConfig()
    small: str = "lexical"
    """What proposes conditions: `lexical`, `meaning` (by the encoder), or a model: a directory, a hub id or a server's
    address."""
    large: str = "linear"
    """The classifier: `linear`, `neighbours`, `recorded:FILE`, or a model, as in `small`."""
    rules: ProjectPath = Path("rules")
    """The folder of the rule base."""
    checkpoint: ProjectPath = Path("checkpoints/run")
    """The folder of what mining and training save."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """The same seed gives the same rules and the same model."""
    mining: MiningConfig = MiningConfig()
    adapters: Literal["joint", "per_task"] = "joint"
    """One fine-tuned adapter for all tasks, or one for each."""
    pixels: PixelsConfig = PixelsConfig()
    prompt: PromptConfig = PromptConfig()
    limits: LimitsConfig = LimitsConfig()
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    distill: DistillConfig = DistillConfig()
    _folder: Path = PrivateAttr(default=Path("."))
    _overridden: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def folder(self) -> Path:
        """The folder that holds kdsl.yaml."""
        return self._folder

    @property
    def typed_models(self) -> tuple[str, ...]:
        """Names and addresses of models that do not come from the file, but from the command line."""
        models = {
            "encoder": self.encoder,
            "small": self.small,
            "large": self.large,
            "distill.teacher": self.distill.teacher,
        }
        return tuple(name for key, name in models.items() if name is not None and key in self._overridden)

    @property
    def recorded(self) -> Path | None:
        """The predictions file of `large: recorded:FILE`, None for anything else."""
        return Path(self.large.removeprefix(RECORDED)) if self.large.startswith(RECORDED) else None

    @property
    def large_model(self) -> str | None:
        """The directory, hub id or server address in `large:`, None for an embedded or recorded one."""
        return None if self.large in EMBEDDED or self.large.startswith(RECORDED) else self.large

    @property
    def small_model(self) -> str | None:
        """The directory, hub id or server address in `small:`, None for an embedded part."""
        return None if self.small in SMALL_EMBEDDED else self.small

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, tasks: list[str]) -> list[str]:
        for task in tasks:
            if not task.strip():
                raise ValueError("a task's name is empty; name a shipped task or a task file")
            if tasks.count(task) > 1:
                raise ValueError(f"{task!r} is listed twice; keep one of the two")
        return tasks

    @field_validator("encoder", "small", "large")
    @classmethod
    def _model(cls, value: str, info: ValidationInfo) -> str:
        embedded = {"encoder": (EMBEDDED_ENCODER, NO_ENCODER), "small": SMALL_EMBEDDED, "large": EMBEDDED}
        own = embedded[info.field_name or ""]
        if not value.strip():
            raise ValueError(f"is empty; name the embedded part (`{info.field_name}: {own[0]}`) or a model")
        file = value.removeprefix(RECORDED)
        if file == value:
            return value if value in own else _model_name(value, info)
        if info.field_name != "large" or not file.strip():
            right = "recorded:FILE" if info.field_name == "large" else own[0]
            raise ValueError(f"{value!r} is not possible here; write `{info.field_name}: {right}`")
        return f"{RECORDED}{_in_folder(file, info)}"

    @field_validator("small")
    @classmethod
    def _meaning(cls, value: str, info: ValidationInfo) -> str:
        if value == "meaning" and info.data.get("encoder") == NO_ENCODER:
            raise ValueError("'meaning' needs an encoder; write `encoder: use` too, or `small: lexical`")
        return value


def _model_name(name: str, info: ValidationInfo) -> str:
    """A model's directory relative to the folder of the configuration; hub ids and addresses as they stand."""
    path = Path(name).expanduser()
    plainly = path.is_absolute() or name.startswith((".", "~"))
    folder = (info.context or {}).get("folder")
    if plainly or (folder is not None and "://" not in name and (folder / path).is_dir()):
        return str(_in_folder(name, info))
    return name


def load_config(path: Path | None, overrides: Sequence[str] | Mapping[str, object] = ()) -> ProjectConfig:
    """Read a project file (default ./kdsl.yaml; a folder means its kdsl.yaml) and apply overrides.

    These are `key=value` texts, as on the command line, or values by key, as from Python. Paths in the file are
    relative to the file's folder, paths in overrides to the current directory. Raises KdslError for a missing file,
    YAML mistakes, unknown keys and wrong values, with the line where there is one.
    """
    file_path = Path(CONFIG_NAME) if path is None else path / CONFIG_NAME if path.is_dir() else path
    if not file_path.exists():
        raise KdslError(f"{file_path}: no such file", Hint.INIT)
    file = read_yaml(file_path)
    config = validate(ProjectConfig, file, file.value, {"folder": file_path.parent})
    changes = _changes_by_key(overrides) if isinstance(overrides, Mapping) else _changes_in_text(overrides)
    if changes:
        config = _changed(config, changes)
    config._folder = file_path.parent
    config._overridden = frozenset(change.key for change in changes)
    return config


class _Change(NamedTuple):
    """One override; `words` is how a mistake in it is told."""

    words: str
    key: str
    value: Callable[[], object]
    """Text is read late, so that what is wrong with it is told like any other mistake."""


def _changes_in_text(overrides: Sequence[str]) -> list[_Change]:
    changes = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise KdslError(
                f"{override!r} is not an override; write key=value, such as seed=1 or data.train=train.json"
            )
        value = partial(_override_value, key.strip(), text)
        changes.append(_Change(f"{override} on the command line", key.strip(), value))
    return changes


def _changes_by_key(overrides: Mapping[str, object]) -> list[_Change]:
    return [
        _Change(f"{key}={value!r}", key, partial(_in_current_folder, key, value)) for key, value in overrides.items()
    ]


def _changed(config: ProjectConfig, changes: Sequence[_Change]) -> ProjectConfig:
    values = config.model_dump()
    wrong: KdslError | None = None
    for change in changes:
        try:
            _set(values, change.key, change.value())
            config, wrong = ProjectConfig.model_validate(values), None
        except ValidationError as error:
            # Unless a later change goes with this one, whatever their order: `small=meaning encoder=use`.
            wrong = wrong or KdslError(f"{change.words}: {first_mistake(ProjectConfig, error)}")
        except (YAMLError, ValueError, RecursionError) as error:
            raise wrong or KdslError(f"{change.words}: {str(error).splitlines()[0]}") from error
    if wrong is not None:
        raise wrong
    return config


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.get(parent)
        if not isinstance(inner, dict):
            raise ValueError(f"there is no part {parent!r} with a key {last!r} in {CONFIG_NAME}")
        values = inner
    values[last] = value


def _override_value(key: str, text: str) -> Any:
    if key.startswith("data.") and key != "data.labels":
        return text or None
    if key in _AS_WRITTEN:
        return text
    return _in_current_folder(key, YAML(typ="safe").load(text))


def _in_current_folder(key: str, value: Any) -> Any:
    """Task files in kdsl.yaml are relative to its folder, those of an override to the current one."""
    if key == "tasks" and isinstance(value, list):
        return [str(Path(task).absolute()) if str(task).endswith((".yaml", ".yml")) else task for task in value]
    return value
