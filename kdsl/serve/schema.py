"""What the routes of the service take and give, as models: `openapi.py` makes the API's description of them.

The routes read bodies themselves, which is faster, and give back the records of `Decision.record`. Tests hold the two
against each other: what is described is accepted, and what is answered is described.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Labels = str | list[str]
"""One label, or all that hold, in a task with several labels a sample."""
Probability = Annotated[float, Field(ge=0, le=1)]


class Described(BaseModel):
    """Keys that are not named here are refused, or never given."""

    model_config = ConfigDict(extra="forbid")


class PictureIn(Described):
    """A picture that travels in the request."""

    name: str | None = Field(None, description="What the evidence calls it; any name without folders.")
    base64: str = Field(description="The bytes of a PNG, JPEG, WebP, GIF or BMP file in base64.")


ImageIn = str | PictureIn
"""As a text the name of a file, or an address that begins with data:image/."""
_IMAGES = (
    "The name of a file below data.images or of one in the same multipart request, an address that begins with "
    "data:image/, or an object with the picture."
)


class SoundIn(Described):
    """A sound that travels in the request."""

    name: str | None = Field(None, description="What the evidence calls it; any name without folders.")
    base64: str = Field(description="The bytes of a WAV, MP3, Ogg, FLAC, AMR, M4A, AAC, AIFF or WebM file in base64.")


AudioIn = str | SoundIn
"""As a text the name of a file, or an address that begins with data:audio/."""
_AUDIO = (
    "The name of a file below data.audio or of one in the same multipart request, an address that begins with "
    "data:audio/, or an object with the sound."
)


class TurnIn(Described):
    """One turn of a dialogue."""

    role: Literal["user", "agent"] = Field(description="Who speaks.")
    text: str = Field("", description="What is written; may be left out where something is shown or said aloud.")
    images: list[ImageIn] | None = Field(None, description=f"What is shown in this turn. {_IMAGES}")
    audio: list[AudioIn] | None = Field(None, description=f"What is said aloud in this turn. {_AUDIO}")


class SampleIn(Described):
    """One thing to decide about: a text or a dialogue, with or without pictures and sounds, or these alone."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"not": {"required": ["text", "turns"]}})

    id: str | None = Field(
        None, description="What the answer, the log and feedback call it; else its number in the request, from 1."
    )
    task: str | None = Field(None, description="The name of its task; not needed where the project has only one.")
    text: str | None = Field(None, description="What a user wrote. Either this or turns.")
    turns: list[TurnIn] | None = Field(None, description="A dialogue, the first turn first. Either this or text.")
    images: list[ImageIn] | None = Field(None, description=f"Its pictures, but for those of turns. {_IMAGES}")
    audio: list[AudioIn] | None = Field(None, description=f"Its sounds, but for those of turns. {_AUDIO}")


class PredictRequest(Described):
    """What is to be decided."""

    samples: list[SampleIn] = Field(description="One or more samples, at most serve.samples of them.", min_length=1)


class Evidence(Described):
    """What one condition of a rule found in the sample; what does not apply is left out."""

    condition: int = Field(description="The number of the condition in its rule, from 0.")
    field: str = Field(description="The field that the condition tests.")
    negated: bool | None = Field(None, description="True for a condition that must not hold.")
    term: str | None = Field(None, description="The term that was found, as the rule writes it.")
    turn: int | None = Field(None, description="The number of the turn, from 0.")
    image: str | None = Field(None, description="The picture.")
    line: int | None = Field(None, description="The line of text on the picture, from 0.")
    box: list[float] | None = Field(None, description="Where on the picture: x0, y0, x1, y1 in pixels.")
    audio: str | None = Field(None, description="The sound in which it is said.")
    seconds: list[float] | None = Field(
        None, description="When it is said: from which second of the sound to which one."
    )
    span: list[int] | None = Field(None, description="Where in the text: the first character, and the one after it.")
    absent: list[str] | None = Field(None, description="The terms that do not occur.")
    similarity: float | None = Field(None, description="How near in meaning the text is.")
    wording: str | None = Field(None, description="The sentence of the rule that it is nearest to.")
    at: float | None = Field(None, description="The similarity from which the condition holds.")
    comparison: str | None = Field(None, description='The comparison of a number, such as ">1.8".')
    value: float | None = Field(None, description="The number that the sample has.")
    kind: str | None = Field(None, description="What kind of picture it is.")
    question: str | None = Field(None, description="The question about the picture.")
    probability: Probability | None = Field(None, description="How likely the answer is yes.")


class RuleHit(Described):
    """A rule that holds on the sample."""

    id: str = Field(description="The id of the rule, which is part of its file's name.")
    label: str = Field(description="The label that it speaks for.")
    reliability: Probability = Field(description="How often it is expected to be right on new samples.")
    evidence: list[Evidence] = Field(description="What each of its conditions found.")


class ModelAlone(Described):
    """What the model says without rules."""

    label: Labels = Field(description="Its label.")
    probability: Probability | None = Field(None, description="How likely that label is; not with several labels.")
    probabilities: dict[str, Probability] = Field(description="Of every label.")
    reason: str | None = Field(None, description="What a model that reasons wrote before its label.")


class DecidedBy(Described):
    """Who decided, and why."""

    by: Literal["model", "rules", "other", "abstained"] = Field(
        description="rules where they changed the model's label; other where the sample belongs to no label; "
        "abstained where a person is to decide."
    )
    label_without_rules: Labels = Field(description="What the label would be without rules.")
    reason: str = Field(description="Why, in one sentence for a person.")
    label_if_decided: str | None = Field(None, description="The likeliest label, where a person is to decide.")
    label_if_belonging: str | None = Field(
        None, description="The likeliest of the other labels, where the sample belongs to none."
    )


class LabelDecided(Described):
    """Whether one of several labels holds."""

    holds: bool = Field(description="Whether it holds.")
    probability: Probability = Field(description="How likely it is that it holds.")
    threshold: Probability = Field(description="The probability from which it holds.")
    by: Literal["model", "rules"] = Field(description="rules where they made it hold.")
    holds_without_rules: bool = Field(description="Whether it would hold without rules.")
    reason: str = Field(description="Why, in one sentence for a person.")


class Cost(Described):
    """What a large model was asked for one sample."""

    calls: int = Field(description="How often it was asked.")
    tokens: int = Field(description="Tokens that it wrote.")
    dropped: int = Field(description="Pieces that were left out of prompts that were too long.")


class Prediction(Described):
    """The decision about one sample: the record that kdsl predict writes."""

    id: str = Field(description="That of the sample.")
    task: str = Field(description="Its task.")
    label: Labels | None = Field(
        description="The label; null where a person is to decide; a list in a task with several labels a sample."
    )
    probabilities: dict[str, Probability] = Field(description="Of every label, with rules.")
    model: ModelAlone
    rules: list[RuleHit] = Field(description="Rules that hold, the one with the most weight first.")
    decision: DecidedBy
    decisions: dict[str, LabelDecided] | None = Field(
        None, description="For every label, in a task with several labels a sample."
    )
    cost: Cost | None = None


class Predictions(Described):
    """One prediction for each sample, in the order of the request."""

    predictions: list[Prediction] = Field(description="In the order of the samples.")


class NearSample(Described):
    """A training sample that is like this one."""

    id: str = Field(description="Its id.")
    label: str = Field(description="Its label.")
    similarity: Probability = Field(description="How like: the cosine of the two.")
    words: str = Field(description="Its first words.")


class LikeDescription(Described):
    """The label whose description is most like the sample."""

    label: str = Field(description="The label.")
    likeness: Probability = Field(description="How like, from 0 to 1.")


class WentBy(Described):
    """What the model went by besides the sample itself."""

    near: list[NearSample] | None = Field(description="The nearest training samples, where it looks at some.")
    described: LikeDescription | None = Field(description="The likest description, where it looks at them.")
    weights: dict[str, float] = Field(description="How much each of several models counts.")


class Explanation(Described):
    """A prediction, and what the model went by."""

    prediction: Prediction
    explanation: WentBy | None = Field(description="null for a model that cannot tell.")


class FeedbackRequest(Described):
    """What a person says about a decision."""

    id: str = Field(description="The id of the sample.")
    task: str | None = Field(None, description="Its task; not needed where the project has only one.")
    label: Labels = Field(description="The right label; a list in a task with several labels a sample.")
    by: str = Field(description="Who says so.")
    sample: SampleIn | None = Field(
        None, description="The sample itself. Needed unless it is one of the last 10,000 that were decided."
    )


class Saved(Described):
    """The feedback is on disk."""

    saved: Literal[True]
    event: str = Field(description="What the file with feedback calls it.")
    id: str = Field(description="That of the sample.")
    task: str = Field(description="Its task.")


class Alive(Described):
    """The process answers."""

    status: Literal["alive"]


class Ready(Described):
    """Whether the service decides, and with what."""

    status: Literal["ready", "degraded"] = Field(
        description="degraded: it decides, but with the last usable state of something that is now broken."
    )
    problems: list[str] = Field(description="What is wrong, a sentence each.")
    versions: dict[str, str] = Field(description="Of rules, checkpoint and configuration; the log has the same.")


class Error(Described):
    """Why nothing was done."""

    error: str = Field(description="One sentence: what is wrong, and what would be right.")
