"""Learning a projection from the dialogues of a project."""

from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.chat.dialogue import Dialogue, conversation
from kdsl.chat.hearing import in_text
from kdsl.chat.reading import read_dialogues
from kdsl.errors import KdslError
from kdsl.hosts import is_address
from kdsl.locks import claimed
from kdsl.project.chat import media_folders, transcripts_of
from kdsl.project.project import Project
from kdsl.vector_cache import VECTORS_FILE, VectorCache

if TYPE_CHECKING:
    from kdsl.training.dialogues import TaughtDialogue
    from kdsl.vlm.encoder import Kind
    from kdsl.vlm.projection import ProjectionCard


def train_dialogues(project: Project) -> "ProjectionCard":
    """Learn the projection from `chat.train`, into the checkpoint's folder `projection`.

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
            f"large: {config.large} has no projection, which is what is learned from dialogues; write "
            "`large: {model: NAME, projection: {encoder: NAME}}`"
        )
    if config.large_model is None or is_address(config.large_model):
        raise KdslError(
            f"large: {config.large} is no language model in this process, as a projection needs one; name the "
            "directory or hub id of one"
        )
    dialogues = read_dialogues(path)
    from kdsl.pretrained import without_extra

    try:
        from kdsl.training.projecting import ProjectionRecipe, train_projection
        from kdsl.vlm.encoder import Encoder
        from kdsl.vlm.pixels import PixelBudget
        from kdsl.vlm.projection import PROJECTION_FOLDER
    except ImportError as error:
        raise without_extra(config.large_model, error) from error

    recipe = ProjectionRecipe(
        config.large_model,
        projection.tokens,
        PixelBudget(config.pixels.min, config.pixels.max),
        config.chat.max_tokens,
        config.training,
        config.seed,
    )
    encoder = Encoder(projection.encoder, cache=VectorCache(config.checkpoint / VECTORS_FILE))
    taught = taught_dialogues(project, dialogues, path, encoder.kind)
    with claimed(folders=[config.checkpoint]):
        return train_projection(recipe, taught, encoder, config.checkpoint / PROJECTION_FOLDER, project.progress)


def taught_dialogues(project: Project, dialogues: list[Dialogue], path: Path, kind: "Kind") -> "list[TaughtDialogue]":
    """The answers in dialogues of the file `path` that stand behind a sound, or a picture, by `kind`.

    Raises KdslError where there are none.
    """
    from kdsl.training.dialogues import TaughtDialogue
    from kdsl.training.examples import Example
    from kdsl.vlm.checkpoint import find_model
    from kdsl.vlm.processor import Processor

    config = project.config
    images, sounds = media_folders(config, path)
    hears = kind == "audio" or Processor.load(find_model(config.large)).hears
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
        raise KdslError(f"{path}: no dialogue has an answer behind {what}, which is what the projection learns from")
    return taught
