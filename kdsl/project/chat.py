"""What kdsl.yaml means for dialogues with free answers: which model answers, what it is told, where files lie."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.files import file_hash, is_there, require_no_input
from kdsl.project.asked import AT_ONCE
from kdsl.project.small import small_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kdsl.audio.transcript import Transcript
    from kdsl.chat.answering import ChatModel
    from kdsl.chat.asking import Answerer, Game, GameQuestion
    from kdsl.chat.dialogue import ChatTurn
    from kdsl.chat.running import RunOutcome
    from kdsl.config import ProjectConfig
    from kdsl.project.project import Project
    from kdsl.vlm.model import VisionLanguageModel


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
        heard = transcripts_of(config) if _must_read(model, [each.turns for each in dialogues]) else None
        settings = [
            config.chat.system,
            config.chat.max_new_tokens,
            config.chat.max_tokens,
            config.seed,
            distractors,
            base,
            None if heard is None else sorted(map(repr, heard.values())),
        ]
        run = Run(
            model=small_name(name),
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
    return Game(questions, *media_folders(config, input), transcripts_of(config))


def model_player(project: "Project", game: "Game", input: Path) -> "Answerer":
    """Answers questions of the game with the project's large model."""
    from kdsl.chat.hearing import in_text

    model = open_chat_model(project)
    chat = chat_model(project, model, input)
    told = _must_read(model, [question.turns for question in game.questions])

    def answer(question: "GameQuestion") -> str:
        return chat.generate([in_text(question.turns, game.transcripts) if told else question.turns])[0]

    return answer


def open_chat_model(project: "Project") -> "VisionLanguageModel":
    """The model that `large:` names, with dialogues cut to `chat.max_tokens`; KdslError for an embedded one."""
    from kdsl.models.large.weights import LargeWeights
    from kdsl.vlm.pixels import PixelBudget

    config = project.config
    name, pixels = _model_name(config), PixelBudget(config.pixels.min, config.pixels.max)
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


def transcripts_of(config: "ProjectConfig") -> "Mapping[str, Transcript]":
    """What is said in sounds, as far as `data.transcripts` has it."""
    from kdsl.audio.transcript import read_transcripts

    path = config.data.transcripts
    return {} if path is None or not is_there(path) else read_transcripts(path)


def _model_name(config: "ProjectConfig") -> str:
    if config.large_model is None:
        raise KdslError(
            f"large: {config.large} chooses labels and writes no answers; name a model, such as "
            "large=Qwen/Qwen2-VL-7B-Instruct, its directory, or a server's address"
        )
    return config.large_model


def _must_read(model: "VisionLanguageModel", dialogues: "Iterable[Sequence[ChatTurn]]") -> bool:
    """Whether there are sounds that the model does not hear."""
    return any(turn.names("audio") for turns in dialogues for turn in turns) and not model.hears()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
