"""kdsl init: a new project."""

from pathlib import Path
from typing import Annotated

import typer

_CONFIG = """\
# A KDSL project. Every command takes this file (./kdsl.yaml by default), and key=value changes an entry for one run:
#   kdsl check seed=1 data.train=data/other.json
# Paths are relative to this file.

# Shipped tasks (mire_intent, mire_scene) or your own task files, such as tasks/returns.yaml:
#   name: returns
#   labels:
#     - {name: "退款", description: "用户要求退钱"}
#     - {name: "换货", description: "用户要求换一件"}
tasks: [mire_intent, mire_scene]

data:
  train: data/train.json             # MIRE json, ShareGPT, or JSON Lines with id, text or turns, images, label
  # test: data/test.json             # other labelled samples; `kdsl check` compares them with the training samples
  images: data/images                # the folder that image file names are relative to
  ocr: data/ocr.jsonl                # text found on the images; `kdsl ocr` makes it
  # captions: data/captions.jsonl    # {"image": "a.jpg", "caption": "…"} a line; `kdsl caption` makes them
  # questions: data/questions.jsonl  # what a small model answers about the images; `kdsl mine` asks it
  # knowledge: data/knowledge        # a folder of Markdown and JSON Lines about the products and the shop
  # reasons: data/reasons.jsonl      # why samples have their labels; `kdsl reasons` asks a model for them
  # unlabelled: data/unlabelled.json # samples for a teacher to label, with `kdsl distill` …
  # distilled: data/distilled.jsonl  # … and those it labelled, which `kdsl train` learns from too

small: lexical                       # proposes conditions for rules; or a model, such as Qwen/Qwen2-VL-2B-Instruct
large: linear                        # the classifier; or neighbours, Qwen/Qwen2-VL-7B-Instruct, or recorded:FILE

rules: rules                         # the rule base: read it, edit it, accept or reject rules
checkpoint: checkpoints/run          # where the trained classifier lands
seed: 0                              # the same seed gives the same rules and the same model
mining: {max_conditions: 3, iterations: 2000}

# What the classifier is fed besides; `kdsl evaluate --ablate augment,ocr,retrieval,rules` measures each step:
prompt: {ocr: true, knowledge: 3}    # cleaned text of the images, label descriptions that fit; or neighbours: 5, too
# augment: {copies: 2}               # changed copies of the samples; `kdsl augment` shows them
# training: {target: reason_label}   # a fine-tuned model writes the reason first; or label_reason, or label
# distill: {teacher: "http://localhost:8000/v1", confidence: 0.8, rounds: 3}
"""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where the project goes.", show_default=False)
    ] = Path("."),
) -> None:
    """Make a new project: a commented kdsl.yaml and its folders. Nothing that exists is touched."""
    from kdsl.errors import KdslError
    from kdsl.files import write_atomically

    config = folder / "kdsl.yaml"
    if config.exists():
        raise KdslError(f"{config} exists already; choose another folder, or edit that file")
    write_atomically(config, _CONFIG)
    for name in ("data", "rules", "checkpoints"):
        (folder / name).mkdir(exist_ok=True)
    typer.echo(f"{config} is ready. Put your samples into {folder / 'data'}, then run: kdsl check {config}")
