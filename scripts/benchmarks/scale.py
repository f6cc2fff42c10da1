"""Ten thousand, a hundred thousand, a million dialogues: time and memory of each step, on this machine and with Ray.

The dialogues are those of the demo's maker, in two files: one to learn from and one, in shards of Parquet, to predict.
Each step is the command that a user gives. Time and memory are those of all its processes. What is wanted is said
beside the figure; "linear" compares with the size before, a constant part of both being left out where it is
measured: of a prediction the rate is that of the samples more, divided by the processor time more.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from benchmarks.process_tree import Taken, measured
from benchmarks.scale_data import TASK, records, write_project

ENGINES = ("one", "two", "ray")
STEPS = ("check", "mine", "train", "predict", "ocr")
ALONE = ("check", "train")
"""Steps of one process, whatever there is."""
SHARD = 25_000
"""Dialogues of a shard."""
PAGES_OF_A_SHARD = 100
LIMIT_OF_MINING, MINUTES_OF_MINING = 8.0, 10.0
LIMIT_OF_PREDICTION, RATE = 4.0, 5000.0
MILLION = 1_000_000
TOLERANCE = 1.15
"""Of "at most linear": how much time varies from run to run."""


@dataclass(frozen=True)
class Measured:
    step: str
    engine: str
    samples: int
    seconds: float
    processor: float
    gigabytes: float

    @classmethod
    def of(cls, step: str, engine: str, samples: int, taken: Taken) -> "Measured":
        return cls(step, engine, samples, taken.seconds, taken.processor, taken.gigabytes)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench scale", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, MILLION])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--pages", type=int, default=1000, help="pages whose text is read (step ocr)")
    parser.add_argument("--folder", type=Path, help="where projects are made and stay; a temporary one by default")
    parser.add_argument("--json", type=Path, help="a line of JSON for each figure, for scripts/bench scale_plan")
    options = parser.parse_args(arguments)
    found: list[Measured] = []
    missed = 0
    print(f"{'step':<8} {'engine':<6} {'samples':>9} {'clock':>9} {'processor':>10} {'memory':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for each in _all(folder, options):
            line = (
                f"{each.step:<8} {each.engine:<6} {each.samples:>9,} {each.seconds:>7.1f} s {each.processor:>8.1f} s "
                f"{each.gigabytes:>5.2f} GB"
            )
            remarks = list(_remarks(each, found))
            missed += sum(not kept for _, kept in remarks)
            print(line, *(f"  {'' if kept else 'MISSED: '}{said}" for said, kept in remarks), sep="", flush=True)
            found.append(each)
            if options.json is not None:
                with options.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(each)) + "\n")
    return int(missed > 0)


def _all(folder: Path, options: argparse.Namespace) -> Iterator[Measured]:
    log = folder / "errors.log"
    for size in sorted(options.sizes):
        if set(options.steps) == {"ocr"}:
            break
        project, shards = folder / str(size), folder / f"{size}-new"
        if not shards.exists():
            write_project(project, size)
            write_shards(shards, size)
        for step in STEPS[:-1]:
            for engine in ENGINES[:1] if step in ALONE else ENGINES:
                if step in options.steps and (engine in options.engines or step in ALONE):
                    yield Measured.of(step, engine, size, _run(step, engine, project, shards, log))
    if "ocr" in options.steps:
        project, shards = folder / "pages", folder / "pages-new"
        if not shards.exists():
            write_pages(project, shards, options.pages)
        for engine in options.engines:
            yield Measured.of("ocr", engine, options.pages, _run("ocr", engine, project, shards, log))


def _run(step: str, engine: str, project: Path, shards: Path, log: Path) -> Taken:
    command = [sys.executable, "-m", "kdsl", step, str(project)]
    how = ["--engine", "ray"] if engine == "ray" else ["--workers", str(1 + (engine == "two"))]
    if step == "mine":
        shutil.rmtree(project / "rules", ignore_errors=True)
    if step in ("predict", "ocr"):
        output = project / f"{step}-{engine}"
        shutil.rmtree(output, ignore_errors=True)
        command += ["--input", str(shards), "--output", str(output)]
    return measured(command if step in ALONE else [*command, *how], log)


def _remarks(each: Measured, before: Sequence[Measured]) -> Iterator[tuple[str, bool]]:
    """What is wanted of a figure, with its value, and whether it is kept."""
    smaller = [other for other in before if (other.step, other.engine) == (each.step, each.engine)]
    if smaller and smaller[-1].samples < each.samples:
        last = smaller[-1]
        more, growth = each.samples / last.samples, each.processor / last.processor
        yield f"{growth:.1f} times the time for {more:.0f} times the samples", growth <= TOLERANCE * more
    if each.step == "predict":
        yield f"under {LIMIT_OF_PREDICTION:.0f} GB", each.gigabytes < LIMIT_OF_PREDICTION
        if smaller and each.engine == "one":
            rate = (each.samples - smaller[-1].samples) / (each.processor - smaller[-1].processor)
            yield f"{rate:,.0f}/s a core once warm, {RATE:,.0f} wanted", rate >= RATE
    if each.step == "mine" and each.samples >= MILLION:
        yield f"under {LIMIT_OF_MINING:.0f} GB", each.gigabytes < LIMIT_OF_MINING
        if each.engine == "two":
            yield f"in {MINUTES_OF_MINING:.0f} minutes", each.seconds < 60 * MINUTES_OF_MINING


def write_shards(folder: Path, count: int, seed: int = 1) -> None:
    """Dialogues without labels, in shards of Parquet."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    turn = pyarrow.struct([("role", pyarrow.string()), ("text", pyarrow.string())])
    text = pyarrow.string()
    schema = pyarrow.schema([("id", text), ("task", text), ("turns", pyarrow.list_(turn))])
    making = folder.with_name(f"{folder.name}.making")
    making.mkdir(parents=True)
    drawn = records(count, seed)
    for number in range(-(-count // SHARD)):
        rows = list(islice(drawn, min(SHARD, count - number * SHARD)))
        with ParquetWriter(making / f"part-{number:05}.parquet", schema) as writer:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
    making.rename(folder)


def write_pages(project: Path, shards: Path, count: int) -> None:
    """A project of so many pages: those of the demo, each cut at another edge so that no two are alike."""
    from PIL import Image

    drawn = sorted((Path(__file__).resolve().parents[2] / "kdsl" / "demo" / "data" / "images").glob("*.png"))
    write_project(project, 0)
    images = project / "images"
    images.mkdir()
    config = project / "kdsl.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace(
            "data: {train: train.jsonl}", "data: {train: train.jsonl, images: images, ocr: ocr.jsonl}"
        ),
        encoding="utf-8",
    )
    shards.mkdir(parents=True)
    names = [f"{number:06}.png" for number in range(count)]
    for number, name in enumerate(names):
        with Image.open(drawn[number % len(drawn)]) as page:
            page.crop((0, number // len(drawn), page.width, page.height)).save(images / name)
    for first in range(0, count, PAGES_OF_A_SHARD):
        with (shards / f"part-{first // PAGES_OF_A_SHARD:05}.jsonl").open("w", encoding="utf-8") as file:
            for name in names[first : first + PAGES_OF_A_SHARD]:
                turns = [{"role": "user", "text": "<image>"}]
                record = {"id": name, "task": TASK, "turns": turns, "images": [name]}
                file.write(json.dumps(record) + "\n")
