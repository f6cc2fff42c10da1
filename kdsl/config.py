"""kdsl.yaml: one file describes a project."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from kdsl.config_parts import (
    AbstainConfig,
    AugmentConfig,
    ChatConfig,
    DataConfig,
    DistillConfig,
    FieldsConfig,
    LargeConfig,
    LimitsConfig,
    MiningConfig,
    Part,
    PixelsConfig,
    ProjectionConfig,
    ProjectPath,
    PromptConfig,
    ServeConfig,
    TrainingConfig,
    in_folder,
    model_name,
)
from kdsl.errors import Hint, KdslError
from kdsl.yaml_file import YamlFile, first_mistake, read_yaml, validate

CONFIG_NAME = "kdsl.yaml"
RECORDED = "recorded:"
EMBEDDED = ("linear", "neighbours")
"""What `large:` names that needs no weights."""
SMALL_EMBEDDED = ("lexical", "meaning")
"""The same of `small:`."""
NO_ENCODER, EMBEDDED_ENCODER = "none", "use"
"""What `encoder:` names that is no directory, hub id or address."""

EMBEDDED_SPEECH = "pocketsphinx"
"""What `speech:` names that is no directory, hub id or address."""

_AS_WRITTEN = ("encoder", "small", "large", "speech", "rules", "checkpoint")
"""Overrides of these keys, and of those in `data`, are taken as text: a file may be called 2024 or true."""


class ProjectConfig(Part):
    """A project; all paths lead from the current directory once loaded by `load_config`."""

    tasks: list[str] = Field(default_factory=list)
    """Shipped tasks (mire_intent, mire_scene) or paths of task files; only a project with `chat` may have none."""
    data: DataConfig = DataConfig()
    encoder: str = NO_ENCODER
    """What turns sentences into vectors: `none`, `use` (embedded), or a directory, a hub id or a server's address."""
    fields: FieldsConfig = FieldsConfig()
    small: str = "lexical"
    """What proposes conditions: `lexical`, `meaning` (by the encoder), or a model: a directory, a hub id or a server's
    address."""
    large: str = "linear"
    """The classifier: `linear`, `neighbours`, `recorded:FILE`, or a model, as in `small`; it answers dialogues too."""
    projection: ProjectionConfig | None = None
    """How that model reads sounds or pictures; stands in the file as `large: {model: NAME, projection: {…}}`."""
    speech: str = EMBEDDED_SPEECH
    """What writes down what is said in sounds: `pocketsphinx` (embedded, English only), or a Whisper model: a
    directory, a hub id or a server's address."""
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
    abstain: AbstainConfig | None = None
    """When a decision is handed to a person; null decides everything."""
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    distill: DistillConfig = DistillConfig()
    chat: ChatConfig = ChatConfig()
    # Read like one that is written, so that its folder is one of the project too.
    serve: ServeConfig = Field(default_factory=dict)  # type: ignore[assignment]
    _folder: Path = PrivateAttr(default=Path("."))
    _overridden: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def folder(self) -> Path:
        """The folder that holds kdsl.yaml."""
        return self._folder

    @property
    def models(self) -> dict[str, str]:
        """Names and addresses of the models, by the key that names them."""
        models = {
            "encoder": self.encoder,
            "small": self.small,
            "large": self.large,
            "projection.encoder": None if self.projection is None else self.projection.encoder,
            "speech": self.speech,
            "distill.teacher": self.distill.teacher,
        }
        return {key: name for key, name in models.items() if name is not None}

    @property
    def typed_models(self) -> tuple[str, ...]:
        """Of these the names that do not come from the file, but from the command line."""
        return tuple(name for key, name in self.models.items() if key in self._overridden)

    def moved(self, folder: Path, update: Mapping[str, object]) -> "ProjectConfig":
        """The same project in another folder, with what else is another there; its servers may be contacted."""
        config = self.model_copy(update=update)
        config = config.model_copy(update={"data": config.data.within(folder)})
        config._folder, config._overridden = folder, frozenset(self.models)
        return config

    @property
    def projection_folder(self) -> Path:
        """Where `kdsl train` writes what it learned of `projection:`."""
        return self.checkpoint / "projection"

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

    @model_validator(mode="after")
    def _some_task(self) -> "ProjectConfig":
        if self.tasks or self.chat != ChatConfig():
            return self
        mistake = InitErrorDetails(type="missing", loc=("tasks",), input=self.tasks)
        if "tasks" in self.model_fields_set:
            mistake["type"], mistake["ctx"] = "too_short", {"field_type": "List", "min_length": 1, "actual_length": 0}
        raise ValidationError.from_exception_data("tasks", [mistake])

    @field_validator("encoder", "small", "large", "speech")
    @classmethod
    def _model(cls, value: str, info: ValidationInfo) -> str:
        embedded = {
            "encoder": (EMBEDDED_ENCODER, NO_ENCODER),
            "small": SMALL_EMBEDDED,
            "large": EMBEDDED,
            "speech": (EMBEDDED_SPEECH,),
        }
        own = embedded[info.field_name or ""]
        if not value.strip():
            raise ValueError(f"is empty; name the embedded part (`{info.field_name}: {own[0]}`) or a model")
        file = value.removeprefix(RECORDED)
        if file == value:
            return value if value in own else model_name(value, info)
        if info.field_name != "large" or not file.strip():
            right = "recorded:FILE" if info.field_name == "large" else own[0]
            raise ValueError(f"{value!r} is not possible here; write `{info.field_name}: {right}`")
        return f"{RECORDED}{in_folder(file, info)}"

    @field_validator("small")
    @classmethod
    def _meaning(cls, value: str, info: ValidationInfo) -> str:
        if value == "meaning" and info.data.get("encoder") == NO_ENCODER:
            raise ValueError("'meaning' needs an encoder; write `encoder: use` too, or `small: lexical`")
        return value


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
    context = {"folder": file_path.parent}
    config = validate(ProjectConfig, file, _taken_apart(file, context), context)
    changes = _changes_by_key(overrides) if isinstance(overrides, Mapping) else _changes_in_text(overrides)
    if changes:
        config = _changed(config, changes)
    config = config.model_copy(update={"data": config.data.within(file_path.parent)})
    config._folder = file_path.parent
    config._overridden = frozenset(change.key for change in changes)
    return config


def _taken_apart(file: YamlFile, context: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the file, with `large: {model: NAME, projection: {…}}` as two keys, `large` and `projection`."""
    if "projection" in file.value:
        raise KdslError(
            f"{file.where(['projection'])}: projection stands beside its model; write "
            "`large: {model: NAME, projection: {encoder: NAME}}`"
        )
    large = file.value.get("large")
    if not isinstance(large, dict):
        return file.value
    found = validate(LargeConfig, file, large, context, within=["large"])
    return {**file.value, "large": found.model, "projection": found.projection}


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
