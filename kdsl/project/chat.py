"""What kdsl.yaml means for dialogues with free answers: which model answers, what it is told, where files lie."""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.files import file_hash, is_there, require_no_input
from kdsl.pretrained import model_name
from kdsl.project.asked import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kdsl.audio.transcript import Transcript
    from kdsl.chat.answering import ChatModel
    from kdsl.chat.asking import Answerer, Game, GameQuestion
    from kdsl.chat.dialogue import ChatTurn
    from kdsl.chat.running import RunOutcome
    from kdsl.config import ProjectConfig
    from kdsl.project.project import Project
    from kdsl.vlm.model import VisionLanguageModel

_log = logging.getLogger(__name__)


def answer_dialogues(project: "Project", input: Path, output: Path, distractors: int, base: float) -> "RunOutcome":
    """Answer every question in a file of dialogues, and append the answers to `output`.

    `distractors` answers to other dialogues are compared with each right one; `base` is that of perplexity. Raises
    KdslError for a file that is no file of dialogues, a project without a model, and an output of another run.
    """
    from kdsl.chat.answer_file import Run
    from kdsl.chat.reading import read_dialogues
    from kdsl.chat.running import Answering, Distractors
    from kdsl.hosts import is_address
    from kdsl.locks import claimed

    require_no_input(output, [input], "answers")
    config = project.config
    name = _model_name(config)
    dialogues = read_dialogues(input)
    with claimed(files=[output]):
        model = open_chat_model(project)
        _, sounds = media_folders(config, input)
        names = _sounds(each.turns for each in dialogues)
        heard = _transcribed(project, names, sounds) if names and not model.hears() else None
        settings = [
            config.chat.system,
            config.chat.max_new_tokens,
            config.chat.max_tokens,
            config.seed,
            distractors,
            base,
            None if heard is None else [repr(heard[name]) for name in names if name in heard],
        ]
        run = Run(
            model=model_name(name),
            weights=_short(model.identity),
            input=file_hash(input)[:12],
            settings=_short(json.dumps(settings, ensure_ascii=False)),
        )
        wrong = Distractors(dialogues, distractors, config.seed)
        answering = Answering(chat_model(project, model, input), heard, wrong, base, run)
        return answering.fill(dialogues, output, AT_ONCE if is_address(name) else 1, project.progress)


def open_game(project: "Project", input: Path, number: int) -> "Game":
    """A game of at most `number` questions of a file of dialogues; KdslError for a file that is none."""
    from kdsl.chat.asking import Game, draw_questions
    from kdsl.chat.reading import read_dialogues

    config = project.config
    questions = draw_questions(read_dialogues(input), number, config.seed)
    images, sounds = media_folders(config, input)
    return Game(questions, images, sounds, transcripts_of(config, sounds))


def model_player(project: "Project", game: "Game", input: Path) -> "Answerer":
    """Answers questions of the game with the project's large model."""
    from kdsl.chat.hearing import in_text

    model = open_chat_model(project)
    chat = chat_model(project, model, input)
    names = _sounds(question.turns for question in game.questions)
    heard = _transcribed(project, names, game.sounds) if names and not model.hears() else None

    def answer(question: "GameQuestion") -> str:
        return chat.generate([question.turns if heard is None else in_text(question.turns, heard)])[0]

    return answer


def open_chat_model(project: "Project") -> "VisionLanguageModel":
    """The model that `large:` names, with its projection if it has one; dialogues are cut to `chat.max_tokens`.

    Raises KdslError for an embedded one, and for a projection that `kdsl train` has not made.
    """
    from kdsl.models.large.weights import LargeWeights
    from kdsl.vlm.pixels import PixelBudget

    config = project.config
    name, pixels = _model_name(config), PixelBudget(config.pixels.min, config.pixels.max)
    if config.projection is not None:
        from kdsl.project.projection import open_projected

        return open_projected(config, config.projection, pixels)
    return LargeWeights(name, config.checkpoint, pixels, config.chat.max_tokens, project.consent).open(None)


def chat_model(project: "Project", model: "VisionLanguageModel", input: Path) -> "ChatModel":
    """The model in dialogues of the file `input`, as `chat:` in kdsl.yaml says."""
    from kdsl.chat.answering import ChatModel

    images, sounds = media_folders(project.config, input)
    chat = project.config.chat
    return ChatModel(model, images, chat.system, chat.max_new_tokens, sounds)


def media_folders(config: "ProjectConfig", input: Path) -> tuple[Path, Path]:
    """Where the pictures and the sounds of a file of dialogues lie: beside it, where kdsl.yaml names no folder."""
    return config.data.images or input.parent, config.data.audio or input.parent


def transcripts_of(config: "ProjectConfig", sounds: Path) -> "dict[str, Transcript]":
    """What is said in the sounds of a folder, as far as somebody wrote it down."""
    from kdsl.audio.transcript import read_transcripts

    path = _sidecar(config, sounds)
    return read_transcripts(path) if is_there(path) else {}


def _transcribed(project: "Project", names: "Sequence[str]", sounds: Path) -> "dict[str, Transcript]":
    """The same, where those that are missing are written down now, as far as the recogniser of `speech:` is there."""
    from kdsl.audio.load import speech_installed
    from kdsl.audio.transcribe import Transcriber, fill_transcripts
    from kdsl.locks import claimed

    config = project.config
    known, path = transcripts_of(config, sounds), _sidecar(config, sounds)
    if all(name in known for name in names) or not speech_installed(config.speech):
        return known
    with claimed(files=[path]), Transcriber(config.speech, project.consent, os.cpu_count() or 1) as transcriber:
        outcome = fill_transcripts(names, sounds, path, transcriber, project.progress, known)
    for name, problem in outcome.problems.items():
        _log.warning("%s: not transcribed: %s", name, problem)
    return known


def _sidecar(config: "ProjectConfig", sounds: Path) -> Path:
    """Where transcripts are: in the checkpoint, a file for each folder of sounds, where kdsl.yaml names no file."""
    return config.data.transcripts or config.checkpoint / f"transcripts.{_short(str(sounds.resolve()))}.jsonl"


def _model_name(config: "ProjectConfig") -> str:
    if config.large_model is None:
        raise KdslError(
            f"large: {config.large} chooses labels and writes no answers; name a model, such as "
            "large=Qwen/Qwen2-VL-7B-Instruct, its directory, or a server's address"
        )
    return config.large_model


def _sounds(dialogues: "Iterable[Sequence[ChatTurn]]") -> list[str]:
    """The files of all sounds in the dialogues, each once."""
    return [*dict.fromkeys(name for turns in dialogues for turn in turns for name in turn.names("audio"))]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
