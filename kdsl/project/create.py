"""A new project: a commented kdsl.yaml, its folders, and files for tasks that are given as objects."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsl.config import CONFIG_NAME
from kdsl.errors import KdslError
from kdsl.files import write_atomically
from kdsl.rules.shipped import copy_shipped
from kdsl.sample import Task
from kdsl.tasks import load_task, shipped_tasks, task_text
from kdsl.yaml_file import yaml_string

TASK_FOLDER = "tasks"
"""Of a project: where the files of its own tasks go."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/]*(?:\.ya?ml)?")
"""Entries that need no quotes in YAML."""
_FOLDERS = ("data", "rules", "checkpoints")
_CONFIG = """\
# A KDSL project. Every command takes this file (./kdsl.yaml by default), and key=value changes an entry for one run:
#   kdsl check seed=1 data.train=data/other.json
# Paths are relative to this file.

# Shipped tasks (mire_intent, mire_scene) or your own task files, such as tasks/returns.yaml:
#   name: returns
#   labels:
#     - {name: "退款", description: "用户要求退钱"}
#     - {name: "换货", description: "用户要求换一件"}
tasks: [%s]

data:
%s  # test: data/test.json             # other labelled samples; `kdsl check` compares them with the training samples
%s  ocr: data/ocr.jsonl                # text found on the images; `kdsl ocr` makes it
%s  # captions: data/captions.jsonl    # {"image": "a.jpg", "caption": "…"} a line; `kdsl caption` makes them
  # questions: data/questions.jsonl  # what a small model answers about the images; `kdsl mine` asks it
  # knowledge: data/knowledge        # a folder of Markdown and JSON Lines about the products and the shop
  # reasons: data/reasons.jsonl      # why samples have their labels; `kdsl reasons` asks a model for them
  # unlabelled: data/unlabelled.json # samples without labels: accepted rules label them for the classifier …
  # distilled: data/distilled.jsonl  # … or a teacher does, with `kdsl distill`; here go those that it labelled

encoder: use                         # sentence vectors; or none, a model such as BAAI/bge-m3, or http://…/v1
small: meaning                       # proposes conditions for rules; or lexical, or Qwen/Qwen2-VL-2B-Instruct
large: linear                        # the classifier; or neighbours, Qwen/Qwen2-VL-7B-Instruct, or recorded:FILE

rules: rules                         # the rule base: read it, edit it, accept or reject rules
checkpoint: checkpoints/run          # where the trained classifier lands; what it scored is kept in runs/
seed: 0                              # the same seed gives the same rules and the same model
mining: {max_conditions: 3, iterations: 2000}

# More for the classifier to learn from; `kdsl evaluate --ablate augment,ocr,retrieval,rules` measures each step:
%s
# augment: {copies: 2}               # changed copies of the samples; `kdsl augment` shows them
# training: {target: reason_label}   # a fine-tuned model writes the reason first; or label_reason, or label
# distill: {teacher: "http://localhost:8000/v1", confidence: 0.8, rounds: 3}
"""


_TRAIN = """\
  train: data/train.json             # a table, a labelling tool's export, JSON or JSON Lines: docs/your_data.md
"""
_IMAGES = """\
  images: data/images                # the folder that image file names are relative to
"""
_AUDIO = """\
  # audio: data/audio                # the folder of sounds, such as voice messages
  # transcripts: data/transcripts.jsonl  # what is said in them; `kdsl transcribe` writes it down
"""


_PROMPT = """\
prompt: {ocr: true, knowledge: 3}    # cleaned text of the images, label descriptions that fit; or neighbours: 5, too\
"""
_PROMPT_SEVERAL = """\
prompt: {ocr: true}                  # cleaned text of the images; what else there is knows one label a sample\
"""


@dataclass(frozen=True)
class DataEntries:
    """What kdsl.yaml says of the data, as lines of YAML below `data:`."""

    train: str = _TRAIN
    images: str = _IMAGES
    audio: str = _AUDIO


def create_project(
    folder: Path,
    tasks: Sequence[str | Path | Task] | None = None,
    data: DataEntries = DataEntries(),
    counts: Mapping[str, int] | None = None,
) -> Path:
    """Make a project in `folder`, new or not, and return its kdsl.yaml; nothing that exists is touched.

    `tasks` are names of shipped tasks, task files (relative to the current directory) or `Task` objects, which become
    tasks/<name>.yaml; by default all shipped tasks. The rules that ship for a task come along where it is named:
    without `tasks` nobody has said that the project is about these. `counts` is the number of samples of each label,
    told in the files of `Task` objects. Raises KdslError, before anything is written, for
    a task that cannot be one and for files that are there already.
    """
    config = folder / CONFIG_NAME
    if config.exists():
        raise KdslError(f"{config} exists already; choose another folder, or edit that file")
    named = tasks is not None
    if tasks is None:
        tasks = sorted(shipped_tasks())
    if isinstance(tasks, str | Path | Task) or not isinstance(tasks, Iterable) or not tasks:
        raise KdslError(f"tasks={tasks!r:.80}: must be a list with at least one task, such as ['mire_intent']")
    entries, files = [], {}
    names: set[str] = set()
    for task in tasks:
        if isinstance(task, Task):
            name, entry = task.name, f"{TASK_FOLDER}/{task.name}.yaml"
            files[folder / entry] = task_text(task, counts)
        elif isinstance(task, str | Path):
            name, entry = load_task(str(task)).name, _entry(task, folder)
        else:
            raise KdslError(f"tasks: {task!r:.80} is no task; give a shipped task's name, a task file or a kdsl.Task")
        if name in names:
            raise KdslError(f"tasks: two tasks have the name {name!r}; give each task a name of its own")
        names.add(name)
        entries.append(entry)
    for path in files:
        if os.path.lexists(path):
            raise KdslError(f"{path} exists already; name that file in `tasks`, or call the task something else")
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KdslError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
    for path, text in files.items():
        write_atomically(path, text)
    for entry in entries:
        if named and entry in shipped_tasks():
            copy_shipped(entry, folder / "rules")
    prompt = _PROMPT_SEVERAL if any(isinstance(task, Task) and task.multi for task in tasks) else _PROMPT
    write_atomically(config, _CONFIG % (", ".join(map(_scalar, entries)), data.train, data.images, data.audio, prompt))
    return config


def _entry(task: str | Path, folder: Path) -> str:
    """A shipped task's name as it is; a file as seen from `folder`, with its whole path where it lies elsewhere."""
    if str(task) in shipped_tasks():
        return str(task)
    path, home = Path(os.path.abspath(task)), Path(os.path.abspath(folder))
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


def _scalar(entry: str) -> str:
    """As it stands in a list of YAML."""
    return entry if _PLAIN.fullmatch(entry) else yaml_string(entry)
