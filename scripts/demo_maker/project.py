"""Writes the demo project's folder: samples, images, task files, configuration."""

import json
from pathlib import Path

from PIL import Image

from .intents import INTENTS
from .samples import INTENT_PROMPT, SCENE_PROMPT, DemoSample, image_names, numbered, voice_name
from .scenes import SCENES
from .voices import speak

COLOURS = 32  # of a page's palette: enough for flat pages, and small files

CONFIG = """\
# The demo: dialogues, screenshots and voice messages made by scripts/make_demo, none of them real.
# Paths are relative to this file; every command takes this file, and key=value to change an entry for one run.
tasks: [tasks/demo_intent.yaml, tasks/demo_scene.yaml]   # a shipped task's name, or the path of a task file
data:
  train: data/train.json        # labelled samples
  test: data/test.json          # labelled too, used for the result table only
  images: data/images           # the folder of the file names in the samples
  ocr: data/ocr.jsonl           # text on the images; `kdsl ocr` fills in what is missing
  audio: data/audio             # the folder of the voice messages
  transcripts: data/transcripts.jsonl   # what is said in them; `kdsl transcribe` fills in what is missing
encoder: use                    # sentence vectors: embedded, a package of 32 MB
small: meaning                  # proposes conditions of rules by their meaning: embedded, no model weights
large: linear                   # the classifier beside the rules: embedded, no model weights
rules: rules                    # mined rules land here, one file a rule
checkpoint: checkpoints/run     # the trained classifier and the arbiter's calibration
seed: 0
"""


def write_project(folder: Path, train: list[DemoSample], test: list[DemoSample]) -> None:
    """Writes everything except the sidecars; images and sounds of an earlier run are removed first."""
    images, audio, tasks = folder / "data" / "images", folder / "data" / "audio", folder / "tasks"
    for made in (images, audio, tasks):
        made.mkdir(parents=True, exist_ok=True)
    for old in (*images.glob("demo-*.png"), *audio.glob("demo-*.ogg")):
        old.unlink()
    for name, split, ids in zip(("train", "test"), (train, test), numbered(train, test), strict=True):
        records = [sample.record(sample_id) for sample, sample_id in zip(split, ids, strict=True)]
        text = json.dumps(records, ensure_ascii=False, indent=1) + "\n"
        (folder / "data" / f"{name}.json").write_text(text, encoding="utf-8")
        for sample, sample_id in zip(split, ids, strict=True):
            if sample.spoken:
                speak(sample.spoken, audio / voice_name(sample_id))
            for image, image_name in zip(sample.images, image_names(sample_id, len(sample.images)), strict=True):
                palette = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
                palette.save(images / image_name, optimize=True)
    labels = [(intent.name, intent.description) for intent in INTENTS]
    write_task(tasks / "demo_intent.yaml", labels, INTENT_PROMPT, "What a customer wants in a dialogue.")
    labels = [(scene.name, scene.description) for scene in SCENES]
    write_task(tasks / "demo_scene.yaml", labels, SCENE_PROMPT, "Which page a customer's screenshot shows.")
    (folder / "kdsl.yaml").write_text(CONFIG, encoding="utf-8")


def write_task(path: Path, labels: list[tuple[str, str]], prompt: str, comment: str) -> None:
    lines = [f"# {comment}", f"name: {path.stem}", "labels:"]
    lines += [f'  - {{name: "{name}", description: "{description}"}}' for name, description in labels]
    # `|` keeps the line feed that ends a prompt, `|-` a prompt that ends without one.
    lines += ["prompt: |" if prompt.endswith("\n") else "prompt: |-"]
    lines += [f"  {line}" for line in prompt.splitlines()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
