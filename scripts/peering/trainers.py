"""LLaMA-Factory and ms-swift: trained on KDSL's export, their adapters and predictions brought back."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

from kdsl.vlm.pixels import PixelBudget, fitted_size
from peering import base, world
from peering.children import run_logged
from peering.table import Finding, Verdict, shares
from peering.tokens import Encoded, compare_pictures, compare_tokens
from peering.workplace import Workplace

_INSIDE = Path(__file__).parent / "inside"
_LARGE = PixelBudget()
"""The default: 768 tokens a picture."""
_SCREENS = ((1080, 2400), (1170, 2532), (750, 1334), (1920, 1080), (1440, 3200), (800, 600))
_PICTURE, _LINE_BREAK = "<|image_pad|>", "\n"


@dataclass(frozen=True)
class Trainer:
    """How one is called in the folder of an export, and where it leaves what it made."""

    name: str
    title: str
    format: str
    program: str
    train: tuple[str, ...]
    predict: tuple[str, ...]
    adapter: str
    predictions: str
    answer: str
    """The key of its answers."""


TRAINERS = {
    "llama-factory": Trainer(
        "llama-factory", "LLaMA-Factory", "llama-factory", "llamafactory-cli",
        ("train", "train.yaml", "bf16=false"), ("train", "predict.yaml", "bf16=false"),
        "adapter", "predicted/generated_predictions.jsonl", "predict",
    ),
    "ms-swift": Trainer(
        "ms-swift", "ms-swift", "swift", "swift",
        ("sft", "train.yaml", "--torch_dtype", "float32", "--fp16", "false", "--bf16", "false"),
        ("infer", "predict.yaml", "--torch_dtype", "float32"),
        "adapter/best", "predicted.jsonl", "response",
    ),
}  # fmt: skip
"""Settings for the CPU are added to what the export says; nothing else is."""


def adapter_of(name: str, place: Workplace) -> Path:
    """The adapter that this trainer left."""
    return place.folder / name / "export" / TRAINERS[name].adapter


def try_trainer(name: str, title: str, programs: Path, place: Workplace) -> Iterator[Finding]:
    """Export, train, predict, compare."""
    trainer = TRAINERS[name]
    folder = place.folder / name
    export, log = folder / "export", place.log(name)
    if not (export / trainer.predictions).is_file():
        place.say(f"{title}: training on KDSL's export, log in {log}")
        place.kdsl(name, "convert", "--format", trainer.format, "--output", str(export), str(place.project))
        run_logged([str(programs / trainer.program), *trainer.train], log, export)
        run_logged([str(programs / trainer.program), *trainer.predict], log, export)
    place.say(f"{title}: comparing, log in {log}")
    inside = _INSIDE_OF[name](programs, log, folder)
    processor = base.processor_of(place.base)
    picture = processor.tokenizer.convert_tokens_to_ids(_PICTURE)
    behind = processor.answer_ids(_LINE_BREAK, ended=False)
    ours, theirs = world.training_tokens(place.project), inside(export / "train.yaml", None)
    yield from compare_tokens(title, ours, theirs, picture, behind)
    yield _unsized(title, folder, export, picture, inside)
    yield from _brought_back(trainer, title, export, place)


def _brought_back(trainer: Trainer, title: str, export: Path, place: Workplace) -> Iterator[Finding]:
    """Its adapter asked by KDSL, and its predictions read, beside what it answered itself."""
    lines = (export / trainer.predictions).read_text("utf-8").splitlines()
    answers = [json.loads(line)[trainer.answer].strip() for line in lines]
    tested = [json.loads(line) for line in (place.project / world.TEST).read_text("utf-8").splitlines()]
    said = dict(zip([each["id"] for each in tested], answers[-len(tested) :], strict=True))
    right = sum(each["label"] == said[each["id"]] for each in tested)
    yield Finding(title, "its own answers that are right", f"{right} of {len(tested)}", Verdict.told)
    for kind, what, large in (
        ("adapter", "answers of its adapter in KDSL", str(export / trainer.adapter)),
        ("recorded", "its recorded answers in KDSL", f"recorded:{export / trainer.predictions}"),
    ):
        predicted = place.predicted(trainer.name, kind, large)
        equal = world.equal_answers(world.labels(predicted), said)
        yield shares(title, what, equal, len(tested))


_Inside = Callable[[Path, Sequence[Path] | None], list[Encoded]]
"""A training YAML, and pictures where it is these that are asked about; the tokens of the trainer's own pipeline."""


def _unsized(title: str, folder: Path, export: Path, picture: int, inside: _Inside) -> Finding:
    """Screenshots of usual sizes, sized by the trainer with KDSL's default budget and nothing else."""
    pages = []
    for width, height in _SCREENS:
        page = folder / f"screens/{width}x{height}.png"
        page.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (200, 210, 220)).save(page)
        pages.append(page)
    theirs = [each.pictured(picture) for each in inside(export / "train.yaml", pages)]
    sizes = [fitted_size(*size, _LARGE) for size in _SCREENS]
    ours = [width * height // 28**2 for width, height in sizes]
    return compare_pictures(title, ours, theirs, _LARGE.max_pixels // 28**2)


def _llama_factory(programs: Path, log: Path, folder: Path) -> _Inside:
    def inside(config: Path, pages: Sequence[Path] | None) -> list[Encoded]:
        output = folder / "tokens.jsonl"
        more = ["bf16=false", f"output_dir={folder / 'nothing'}"]
        if pages is not None:
            data = folder / "screens"
            (data / "screens.json").write_text(json.dumps([_record(page) for page in pages]), "utf-8")
            info = json.loads((config.parent / "dataset_info.json").read_text("utf-8"))["train"]
            (data / "dataset_info.json").write_text(
                json.dumps({"screens": {**info, "file_name": "screens.json"}}), "utf-8"
            )
            more += [
                f"dataset_dir={data}", "dataset=screens", f"image_max_pixels={_LARGE.max_pixels}",
                f"image_min_pixels={_LARGE.min_pixels}", "eval_dataset=null", "eval_strategy='no'",
                "load_best_model_at_end=false", "early_stopping_steps=null",
            ]  # fmt: skip
        command = [str(programs / "python"), str(_INSIDE / "llama_factory.py"), str(config), str(output), *more]
        run_logged(command, log, config.parent)
        return _read(output)

    return inside


def _ms_swift(programs: Path, log: Path, folder: Path) -> _Inside:
    def inside(config: Path, pages: Sequence[Path] | None) -> list[Encoded]:
        output, data = folder / "tokens.jsonl", config.parent / "train.jsonl"
        more = dict(yaml.safe_load(config.read_text("utf-8"))["ENV"])
        if pages is not None:
            data = folder / "screens/screens.jsonl"
            data.write_text("".join(json.dumps(_record(page)) + "\n" for page in pages), "utf-8")
            more = {"MAX_PIXELS": str(_LARGE.max_pixels), "MIN_PIXELS": str(_LARGE.min_pixels)}
        command = [str(programs / "python"), str(_INSIDE / "ms_swift.py"), str(config), str(data), str(output)]
        run_logged(command, log, config.parent, more)
        return _read(output)

    return inside


_INSIDE_OF: dict[str, Callable[[Path, Path, Path], _Inside]] = {
    "llama-factory": _llama_factory,
    "ms-swift": _ms_swift,
}


def _record(page: Path) -> dict[str, object]:
    turns = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "."}]
    return {"messages": turns, "images": [str(page)]}


def _read(path: Path) -> list[Encoded]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [Encoded(tuple(row["ids"]), row["learned"]) for row in rows]
