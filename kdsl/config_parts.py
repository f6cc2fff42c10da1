"""The parts of kdsl.yaml: where data lie, how rules are searched, how a large model is trained, and the like."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)


def in_folder(value: Any, info: ValidationInfo) -> Any:
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


ProjectPath = Annotated[Path, BeforeValidator(in_folder)]


def model_name(name: str, info: ValidationInfo) -> str:
    """A model's directory relative to the folder of the configuration; hub ids and addresses as they stand."""
    path = Path(name).expanduser()
    plainly = path.is_absolute() or name.startswith((".", "~"))
    folder = (info.context or {}).get("folder")
    if plainly or (folder is not None and "://" not in name and (folder / path).is_dir()):
        return str(in_folder(name, info))
    return name


class Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False
    )  # fmt: skip


class ColumnsConfig(Part):
    """Which columns of tables, or keys of records, are what, where their names do not tell."""

    text: list[str] = []
    """What was said; the texts of several columns are joined by line breaks."""
    turns: str = ""
    """Dialogues: lists of turns, or lines that name the speakers."""
    images: list[str] = []
    """File names of images."""
    audio: list[str] = []
    """File names of sounds."""
    label: str = ""
    """The label; in a labelling tool's export the question that it answers."""
    id: str = ""
    """What tells samples apart."""

    @field_validator("text", "images", "audio", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class DataConfig(Part):
    """Where the data of a project lie."""

    train: ProjectPath | None = None
    """Labelled samples; the format is detected."""
    test: ProjectPath | None = None
    """Other labelled samples, which results are measured on."""
    images: ProjectPath | None = None
    """The folder that image file names are relative to, or a zip archive, which is unpacked beside itself."""
    ocr: ProjectPath | None = None
    """Text on the images, one JSON line an image; `kdsl ocr` writes it."""
    audio: ProjectPath | None = None
    """The folder that the file names of sounds are relative to."""
    transcripts: ProjectPath | None = None
    """What is said in the sounds, one JSON line a sound; `kdsl transcribe` writes it."""
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

    relabelled: ProjectPath | None = None
    """The log of labels that people gave on the review page, which are trained on in place of those of `train`;
    labels.jsonl beside the samples by default."""

    feedback: ProjectPath | None = None
    """The log of what people said to `kdsl serve` about its decisions, which is trained on besides `train`;
    feedback.jsonl beside the samples, or beside kdsl.yaml where there are none, by default."""

    @property
    def paths(self) -> dict[str, Path]:
        """The files and folders that are named, by key."""
        return {name: value for name, value in self if isinstance(value, Path)}

    _folder: Path = PrivateAttr(default=Path("."))

    def within(self, folder: Path) -> "DataConfig":
        """The same of a project whose kdsl.yaml lies in `folder`."""
        data = self.model_copy()
        data._folder = folder
        return data

    @property
    def label_log(self) -> Path:
        """The file of labels that people gave, which need not be there yet."""
        return self.relabelled or (self.train or self.unlabelled or self.feedback_log).with_name("labels.jsonl")

    @property
    def feedback_log(self) -> Path:
        """The file of feedback, which need not be there yet; where no samples are named it lies beside kdsl.yaml."""
        beside = self.train or self.unlabelled or self._folder / "kdsl.yaml"
        return self.feedback or beside.with_name("feedback.jsonl")


class FieldsConfig(Part):
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


class MiningConfig(Part):
    """The budget of the rule search."""

    max_conditions: int = Field(3, ge=1)
    """Conditions in a rule, at most."""
    iterations: int = Field(2000, ge=1)
    """Search iterations for every label."""
    focus: float = Field(0.0, ge=0, lt=1)
    """How much less a sample counts if the classifier predicts it well out of fold; 0 was best in all measurements."""
    least_precision: float = Field(0.6, ge=0, lt=1)
    """Expected precision on new samples, from which a mined rule enters the rule base."""
    max_samples: int = Field(100_000, ge=1000)
    """Labelled samples of a task that are learned from; of more a sample of so many, by labels. What is counted about
    rules is counted on all."""
    questions: int = Field(2, ge=0)
    """Visual questions that a small model writes for every label."""
    calls: int = Field(2000, ge=0)
    """Calls of a small model for terms, priors, nodes and judgements while a task is mined, at most."""


class PixelsConfig(Part):
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


class PromptConfig(Part):
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


class LimitsConfig(Part):
    """What predicting one sample may cost; null is unlimited."""

    calls: int | None = Field(3, ge=1)
    """Model calls."""
    tokens: int | None = Field(100, ge=1)
    """Output tokens."""
    parameters: float | None = Field(None, gt=0)
    """Of all models that predicting a sample uses together, in billions; checked where `large:` names a model."""


class AugmentConfig(Part):
    """Changed copies of the training samples, which the classifier learns from too."""

    copies: int = Field(0, ge=0, le=100)
    """For each sample, on average: samples of rare labels get more, of frequent ones fewer."""
    text: bool = True
    """Change texts."""
    images: bool = True
    """Change images."""
    paraphrase: bool = False
    """Let the small model rephrase texts."""


class DistillConfig(Part):
    """How a teacher labels samples without labels."""

    teacher: str | None = None
    """The address of a server, such as http://localhost:8000/v1."""
    confidence: float = Field(0.8, gt=0, le=1)
    """The least probability of a label that is kept."""
    rounds: int = Field(1, ge=1)
    """Rounds, at most: it stops when weighted F1 does not rise."""


class AbstainConfig(Part):
    """When a decision is handed to a person instead: one of both."""

    error: float | None = Field(None, gt=0, lt=1)
    """The share of the decisions that may be wrong."""
    share: float | None = Field(None, gt=0, lt=1)
    """The share of the samples that a person decides."""

    @model_validator(mode="after")
    def _one(self) -> "AbstainConfig":
        if (self.error is None) == (self.share is None):
            raise ValueError("give either `error`, such as {error: 0.05}, or `share`, such as {share: 0.2}")
        return self


class ServeConfig(Part):
    """The prediction service: what it writes down, and how much it takes on."""

    log: ProjectPath = Path("decisions")
    """The folder of the decision log."""
    texts: bool = False
    """Whether that log holds what the samples say, too."""
    days: int = Field(30, ge=1)
    """How long its files are kept."""
    body: int = Field(16 << 20, ge=1 << 10)
    """Bytes of a request, at most, with its pictures and sounds."""
    samples: int = Field(256, ge=1)
    """Samples of a request, at most."""
    seconds: float = Field(30.0, gt=0)
    """How long a request may take, from its first byte to its answer."""
    waiting: int = Field(1024, ge=1)
    """Samples that may wait for their decision; requests beyond are told to come again."""


class ChatConfig(Part):
    """Dialogues with free answers: what is learned from, and how answers are asked for."""

    train: ProjectPath | None = None
    """Dialogues with answers that `kdsl train` learns a projection from."""
    system: str = ""
    """What the model is told before every dialogue."""
    max_new_tokens: int = Field(128, ge=1)
    """Tokens of an answer, at most."""
    max_tokens: int = Field(4096, ge=64)
    """Tokens of a dialogue; the earliest turns of a longer one are left out."""


class ProjectionConfig(Part):
    """How a language model reads sounds, or pictures, that it cannot read by itself."""

    encoder: str
    """What makes a vector of a sound or a picture: the directory or hub id of a model such as Whisper or CLIP."""
    tokens: int = Field(4, ge=1, le=256)
    """Vectors that a sound or a picture becomes among those of the words."""

    @field_validator("encoder")
    @classmethod
    def _encoder(cls, value: str, info: ValidationInfo) -> str:
        if not value.strip() or "://" in value:
            raise ValueError(f"{value!r} is no encoder; name the directory or hub id of a model")
        return model_name(value, info)


class LargeConfig(Part):
    """`large:` in the file where more is said of it than a name."""

    model: str
    projection: ProjectionConfig | None = None


class TrainingConfig(Part):
    """How the large model is fine-tuned."""

    method: Literal["lora", "qlora", "full", "none"] = "lora"
    """`none`: the model is used zero-shot."""
    epochs: int = Field(5, ge=1)
    """Epochs, at most: training stops early when the held-out samples are predicted no better."""
    learning_rate: float | None = Field(None, gt=0, strict=False)  # to YAML 1.1, 1e-4 is text
    """`null`: 1e-4 for lora and qlora, 5e-6 for full."""
    batch: int = Field(16, ge=1)
    """Samples a step."""
    at_once: int | None = Field(None, ge=1)
    """Samples in a device's memory at once, at most; a step takes several such portions. `null`: as many as fit."""
    held_out: float = Field(0.2, gt=0, lt=1)
    """Share of the training samples that is held out for early stopping and the arbiter."""
    patience: int = Field(2, ge=1)
    """Epochs without a better weighted F1 before training stops."""
    vision: bool = False
    """Train the encoders of pictures and sounds too; only with `method: full`."""
    target: Literal["label", "reason_label", "label_reason"] = "label"
    """What the answer holds: the label alone, or the reason for it too, before or after it."""
    balance: float = Field(0.0, ge=0, le=1)
    """How much more samples of rare labels count: by (most frequent / frequency) to this power, at most 4 times."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of every target that is spread evenly over all tokens."""

    @model_validator(mode="after")
    def _vision(self) -> "TrainingConfig":
        if self.vision and self.method != "full":
            raise ValueError("vision: true goes with `method: full` only; LoRA is for the language model")
        return self
