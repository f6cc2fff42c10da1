"""The projection of a project: learned from its dialogues, and what reads with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.chat.dialogue import Dialogue, conversation
from kdsl.chat.hearing import in_text
from kdsl.chat.reading import read_dialogues
from kdsl.errors import KdslError
from kdsl.hosts import is_address
from kdsl.locks import claimed
from kdsl.pretrained import without_extra
from kdsl.project.chat import media_folders, transcripts_of
from kdsl.project.project import Project
from kdsl.vector_cache import VECTORS_FILE, VectorCache

if TYPE_CHECKING:
    from kdsl.config import ProjectConfig
    from kdsl.config_parts import ProjectionConfig
    from kdsl.training.dialogues import TaughtDialogue
    from kdsl.vlm.encoder import Kind
    from kdsl.vlm.pixels import PixelBudget
    from kdsl.vlm.projected import ProjectedModel
    from kdsl.vlm.projection import ProjectionCard


def train_dialogues(project: Project) -> "ProjectionCard":
    """Learn the projection from `chat.train`, into `config.projection_folder`.

    Raises KdslError in one sentence for what is missing in the configuration, for dialogues in which no answer stands
    behind a sound or a picture, and for whatever cannot be loaded.
    """
    config = project.config
    path, projection = config.chat.train, config.projection
    if path is None:
        raise KdslError(
            "chat.train is not set; name the dialogues to learn from, such as `chat: {train: dialogues.json}`"
        )
    if projection is None:
        raise KdslError(
            f"large: {config.large} has no projection, which is what learns from dialogues; write "
            "`large: {model: NAME, projection: {encoder: NAME}}`"
        )
    name = _language_model(config)
    dialogues = read_dialogues(path)
    try:
        from kdsl.training.projecting import ProjectionRecipe, train_projection
        from kdsl.vlm.encoder import Encoder
        from kdsl.vlm.pixels import PixelBudget
    except ImportError as error:
        raise without_extra(name, error) from error
    pixels = PixelBudget(config.pixels.min, config.pixels.max)
    recipe = ProjectionRecipe(name, projection.tokens, pixels, config.chat.max_tokens, config.training, config.seed)
    with claimed(folders=[config.checkpoint]):
        encoder = Encoder(projection.encoder, cache=_vectors(config))
        taught = _taught(config, name, dialogues, path, encoder.kind)
        return train_projection(recipe, taught, encoder, config.projection_folder, project.progress)


def open_projected(config: "ProjectConfig", projection: "ProjectionConfig", pixels: "PixelBudget") -> "ProjectedModel":
    """The project's language model with what `train_dialogues` left."""
    name = _language_model(config)
    try:
        from kdsl.vlm.projected import ProjectedModel
    except ImportError as error:
        raise without_extra(name, error) from error
    most, cache = config.chat.max_tokens, _vectors(config)
    return ProjectedModel.load(name, projection.encoder, config.projection_folder, pixels, most, cache=cache)


def _taught(
    config: "ProjectConfig", name: str, dialogues: Sequence[Dialogue], path: Path, kind: "Kind"
) -> "list[TaughtDialogue]":
    """The answers in dialogues of the file `path` that stand behind a sound, or a picture, by `kind`."""
    from kdsl.training.dialogues import TaughtDialogue
    from kdsl.training.examples import Example
    from kdsl.vlm.checkpoint import family_of

    images, sounds = media_folders(config, path)
    hears = kind == "audio" or family_of(name).hears
    transcripts = None if hears else transcripts_of(config, sounds)
    taught = []
    for dialogue in dialogues:
        examples = []
        for question in dialogue.questions():
            turns = dialogue.turns[: question.turn]
            if question.reference and any(turn.names(kind) for turn in turns):
                told = turns if transcripts is None else in_text(turns, transcripts)
                asked = conversation(told, images, config.chat.system, sounds)
                examples.append(Example("", asked, question.reference))
        if examples:
            taught.append(TaughtDialogue(dialogue.id, tuple(examples)))
    if not taught:
        what = "a sound" if kind == "audio" else "a picture"
        raise KdslError(f"{path}: no dialogue has an answer behind {what}; give some that have, to learn from")
    return taught


def _language_model(config: "ProjectConfig") -> str:
    """KdslError where `large:` names none that runs in this process."""
    if config.large_model is None or is_address(config.large_model):
        raise KdslError(
            f"large: {config.large} is no language model in this process, and only such a one can have a projection; "
            "name the directory or hub id of one"
        )
    return config.large_model


def _vectors(config: "ProjectConfig") -> VectorCache:
    return VectorCache(config.checkpoint / VECTORS_FILE)
