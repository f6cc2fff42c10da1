"""The shipped demo project holds together, and its dialogues are made the same way every time."""

import json
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kdsl.audio.decoding import audio_facts, voice_installed
from kdsl.audio.transcribe import Transcriber, fill_transcripts
from kdsl.audio.transcript import read_transcripts
from kdsl.config import EMBEDDED_SPEECH, load_config
from kdsl.data.audio_checks import Sounds
from kdsl.data.checks import check_samples
from kdsl.data.readers import read_samples
from kdsl.fields.sidecar import read_ocr
from kdsl.tasks import load_task

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "kdsl" / "demo"
MARKERS = re.compile(r"<用户与客服的对话 START>\n(.*)\n<用户与客服的对话 END>\n", re.DOTALL)

sys.path.insert(0, str(ROOT / "scripts"))

from demo_maker.dialogues import make_dialogues  # noqa: E402
from demo_maker.intents import INTENTS  # noqa: E402
from demo_maker.samples import make_samples  # noqa: E402
from demo_maker.voices import SPOKEN, with_voices  # noqa: E402

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def train() -> Records:
    return json.loads((DEMO / "data" / "train.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def test() -> Records:
    return json.loads((DEMO / "data" / "test.json").read_text(encoding="utf-8"))


def dialogue(record: dict[str, Any]) -> list[str] | None:
    """The lines of a sample's dialogue, None for a scene."""
    found = MARKERS.search(record["instruction"])
    return found.group(1).split("\n") if found else None


def test_the_project_loads_and_has_no_findings() -> None:
    config = load_config(DEMO / "kdsl.yaml")
    tasks = [load_task(name, config.folder) for name in config.tasks]
    splits = {
        name: read_samples(path, tasks) for name, path in (("train", config.data.train), ("test", config.data.test))
    }
    data = config.data
    assert data.images is not None and data.transcripts is not None
    listen = audio_facts if voice_installed() else None
    sounds = Sounds(data.audio, listen, read_transcripts(data.transcripts))
    assert not check_samples(splits, tasks, data.images, sounds=sounds).findings


def test_counts(train: Records, test: Records) -> None:
    assert 290 <= len(train) <= 310
    assert 90 <= len(test) <= 110
    for records in (train, test):
        intents = sum(dialogue(record) is not None for record in records)
        assert 0.4 < intents / len(records) < 0.6


@pytest.mark.parametrize("name", ["demo_intent", "demo_scene"])
def test_labels_are_known_and_unequal_in_size(name: str, train: Records, test: Records) -> None:
    task = load_task(f"tasks/{name}.yaml", DEMO)
    of_task = [r for r in train + test if (dialogue(r) is not None) == (name == "demo_intent")]
    sizes = Counter(record["output"] for record in of_task)
    assert set(sizes) == set(task.label_names)
    assert len(sizes) >= 10
    assert 5 <= min(sizes.values()) < max(sizes.values()) / 2 < 15
    assert {r["output"] for r in of_task if r in test} == set(sizes)
    assert all(label.description for label in task.labels)


@pytest.mark.parametrize("name", ["demo_intent", "demo_scene"])
def test_samples_are_the_task_s_prompt_filled(name: str, train: Records) -> None:
    task = load_task(f"tasks/{name}.yaml", DEMO)
    labels = "[" + ",".join(f'"{label}"' for label in task.label_names) + "]"
    for record in train:
        lines = dialogue(record)
        if (lines is not None) == (name == "demo_intent"):
            text = "\n".join(lines or [])
            assert record["instruction"] == task.prompt.replace("{labels}", labels).replace("{dialogue}", text)


def test_dialogues_have_their_shape(train: Records, test: Records) -> None:
    dialogues = [lines for record in train + test if (lines := dialogue(record)) is not None]
    for lines in dialogues:
        assert 4 <= len(lines) <= 14
        assert all(line.startswith(("用户: ", "客服: ")) for line in lines)
        assert lines[-1].startswith("客服: ")
    silent = sum("客服: " in lines for lines in dialogues) / len(dialogues)
    assert 0.3 < silent < 0.5


def test_placeholders_and_images_agree(train: Records, test: Records) -> None:
    for record in train + test:
        assert record["instruction"].count("<image>") == len(record["image"])


def test_images_are_there_open_and_small(train: Records, test: Records) -> None:
    folder = DEMO / "data" / "images"
    named = [name for record in train + test for name in record["image"]]
    assert len(named) == len(set(named))
    assert set(named) == {path.name for path in folder.iterdir()}
    for name in named:
        with Image.open(folder / name) as image:
            image.load()
            assert image.width == 360
            assert 100 <= image.height <= 1300
        assert (folder / name).stat().st_size < 100_000
    assert sum(path.stat().st_size for path in DEMO.glob("data/**/*.*")) < 8_000_000


def test_the_sidecar_covers_every_image_from_top_to_bottom(train: Records, test: Records) -> None:
    pages = read_ocr(DEMO / "data" / "ocr.jsonl")
    assert set(pages) == {name for record in train + test for name in record["image"]}
    for page in pages.values():
        with Image.open(DEMO / "data" / "images" / page.image) as image:
            assert page.size == page.original_size == image.size
        tops = [line.box[1] for line in page.lines]
        assert tops == sorted(tops)
    assert sum(not page.lines for page in pages.values()) >= 3  # photos without a word
    assert sum(len(page.lines) >= 5 for page in pages.values()) > 0.7 * len(pages)


def test_ids_are_unique_and_say_nothing_about_labels(train: Records, test: Records) -> None:
    ids = [record["id"] for record in train + test]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"demo-\d{4}", sample_id) for sample_id in ids)
    for records in (train, test):
        ordered = [record["output"] for record in sorted(records, key=lambda record: record["id"])]
        equal_neighbours = sum(a == b for a, b in pairwise(ordered))
        assert equal_neighbours < 0.15 * len(ordered)  # about 0.05 by chance, 0.9 when sorted by label


def test_dialogues_are_the_same_for_the_same_seed_only() -> None:
    assert make_dialogues(7) == make_dialogues(7)
    assert make_dialogues(7) != make_dialogues(8)
    assert len(make_dialogues(7)) == sum(intent.size for intent in INTENTS)


def test_the_shipped_dialogues_are_those_that_make_demo_writes(train: Records, test: Records) -> None:
    made_train, made_test = make_samples(seed=4, font=None)
    for records, samples in ((train, made_train), (test, with_voices(made_test))):
        written = [(r["instruction"], r["output"], len(r["image"])) for r in records if dialogue(r) is not None]
        assert written == [(s.instruction, s.label, len(s.images)) for s in samples if s.task == "demo_intent"]


def test_two_customers_of_the_test_split_speak(train: Records, test: Records) -> None:
    spoken = {name: record for record in train + test for name in record.get("audio", ())}
    assert all(record in test and record["instruction"].count("<audio>") == 1 for record in spoken.values())
    assert {record["output"]: 1 for record in spoken.values()} == dict.fromkeys(SPOKEN, 1) and len(spoken) == 2
    assert set(spoken) == {path.name for path in (DEMO / "data" / "audio").iterdir()}
    heard = read_transcripts(DEMO / "data" / "transcripts.jsonl")
    assert {spoken[name]["output"]: transcript.text for name, transcript in heard.items()} == SPOKEN
    assert all(1 < transcript.seconds < 5 and transcript.words for transcript in heard.values())


def test_the_embedded_recogniser_hears_what_the_sidecar_says(tmp_path: Path) -> None:
    pytest.importorskip("av")
    pytest.importorskip("pocketsphinx")
    folder, known = DEMO / "data" / "audio", read_transcripts(DEMO / "data" / "transcripts.jsonl")
    with Transcriber(EMBEDDED_SPEECH) as transcriber:
        fill_transcripts([*known], folder, tmp_path / "transcripts.jsonl", transcriber)
    assert read_transcripts(tmp_path / "transcripts.jsonl") == known
