"""What is read in one kdsl run: every file once, every text normalised once, and nothing read back to be printed."""

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from small_shop import dialogues, read, write, write_project

from kdsl.data.forms import HEAD
from kdsl.data.readers import iterate_records
from kdsl.evaluate.report import Summary
from kdsl.fields.sidecar import read_captions, read_ocr
from kdsl.fields.vqa import read_answers
from kdsl.project.project import Project
from kdsl.project.steps import Pipeline
from kdsl.record_file import read_record
from kdsl.rules.rule_file import parse_rule
from kdsl.text import normalise_lines


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A project with pages, captions and answers about them; not to be written to."""
    folder = write_project(tmp_path_factory.mktemp("once") / "project")
    config = (folder / "kdsl.yaml").read_text("utf-8")
    sidecars = "ocr: ocr.jsonl, captions: captions.jsonl, questions: questions.jsonl"
    (folder / "kdsl.yaml").write_text(config.replace("ocr: ocr.jsonl", sidecars), "utf-8")
    pages = []
    for file in ("train.jsonl", "test.jsonl"):
        samples = read(folder / file)
        for sample in samples:
            sample["images"] = [f"{sample['id']}.png"]
            box = {"score": 0.9, "box": [0, 0, 9, 9]}
            lines = [{"text": f"第{sample['id']}页", **box}, {"text": f"{sample['id']}号", **box}]
            pages.append({"image": sample["images"][0], "size": [40, 60], "lines": lines})
        write(folder / file, samples)
    write(folder / "ocr.jsonl", pages)
    write(folder / "captions.jsonl", [{"image": page["image"], "caption": f"图{page['image']}"} for page in pages])
    asked = {"model": "m", "answers": {"图中有人吗？": 0.5}}
    write(folder / "questions.jsonl", [{"image": page["image"], **asked} for page in pages])
    return folder


@pytest.fixture
def project(shop, tmp_path) -> Path:
    return Path(shutil.copytree(shop, tmp_path / "project"))


class Calls:
    """Counts what functions are called with, wherever KDSL calls them from."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.counts: dict[str, Counter[object]] = {}

    def of(self, function: Callable[..., Any], noted: Callable[..., list[object]]) -> None:
        counts = self.counts.setdefault(function.__name__, Counter())

        @wraps(function)
        def counting(*arguments: Any, **options: Any) -> Any:
            counts.update(noted(*arguments))
            return function(*arguments, **options)

        for name, module in list(sys.modules.items()):
            if name.startswith("kdsl.") and getattr(module, function.__name__, None) is function:
                self._patch.setattr(module, function.__name__, counting)


@pytest.fixture
def calls(monkeypatch) -> Calls:
    import kdsl.project.cross_validation
    import kdsl.project.known_media
    import kdsl.project.prediction
    import kdsl.project.training  # noqa: F401

    calls = Calls(monkeypatch)
    for reader in (read_ocr, read_captions, read_answers, iterate_records):
        calls.of(reader, lambda path, *others: [path.name])
    calls.of(parse_rule, lambda path, *others: [path])
    calls.of(normalise_lines, list)
    calls.of(read_record, lambda kind, *others: [kind])
    return calls


def run(folder: Path, *changes: str) -> Summary:
    return Pipeline(Project.open(folder, changes), 1, lambda line: None).run()


SIDECARS = {
    "read_ocr": {"ocr.jsonl": 1},
    "read_captions": {"captions.jsonl": 1},
    "read_answers": {"questions.jsonl": 1},
}


def test_a_first_run_reads_every_file_and_normalises_every_text_once(project, calls):
    run(project)
    counts = calls.counts
    assert {name: counts[name] for name in SIDECARS} == SIDECARS
    assert counts["iterate_records"] == {"train.jsonl": 1, "test.jsonl": 1}
    assert counts["parse_rule"] == {}  # what mining wrote is the rule base
    texts = counts["normalise_lines"]
    samples = [sample for file in ("train", "test") for sample in read(project / f"{file}.jsonl")]
    said = [turn["text"] for sample in samples for turn in sample["turns"] if turn["text"]]
    pages = [line["text"] for page in read(project / "ocr.jsonl") for line in page["lines"]]
    captions = [record["caption"] for record in read(project / "captions.jsonl")]
    assert {text: texts[text] for text in (*said, *pages, *captions)} == dict.fromkeys((*said, *pages, *captions), 1)
    assert Summary not in counts["read_record"]  # what was evaluated is what is printed


def test_a_run_that_finds_nothing_to_do_reads_no_rule_and_normalises_nothing(project, calls):
    first = run(project)
    for counts in calls.counts.values():
        counts.clear()
    assert run(project) == first
    counts = calls.counts
    assert {name: counts[name] for name in SIDECARS} == SIDECARS
    assert counts["iterate_records"] == {"train.jsonl": 1, "test.jsonl": 1}
    assert (counts["parse_rule"], counts["normalise_lines"]) == ({}, {})
    assert counts["read_record"][Summary] == 1


def test_mining_again_reads_the_rule_base_once(project, calls):
    run(project)
    files = list((project / "rules").rglob("*.yaml"))
    calls.counts["parse_rule"].clear()
    run(project, "seed=1", "mining.max_conditions=1")
    assert files and calls.counts["parse_rule"] == dict.fromkeys(files, 1)


def test_rules_that_people_change_are_seen_and_the_others_not_read_again(project, calls):
    run(project)
    opened = Project.open(project)
    base = opened.rule_base(opened.tasks[0])
    calls.counts["parse_rule"].clear()
    path = base.files[0].path
    path.write_text(path.read_text("utf-8").replace("status: proposed", "status: accepted"), "utf-8")
    assert opened.rule_base(opened.tasks[0]) is base
    assert [rule.status for rule in base.rules].count("accepted") == 1
    assert calls.counts["parse_rule"] == {path: 1}


def test_cross_validation_normalises_no_text_again(project, calls):
    run(project, "data.test=", "mining.iterations=5")
    said = {turn["text"] for sample in read(project / "train.jsonl") for turn in sample["turns"] if turn["text"]}
    assert {calls.counts["normalise_lines"][text] for text in said} == {1}
    assert calls.counts["iterate_records"] == {"train.jsonl": 1}
    assert calls.counts["read_ocr"] == {"ocr.jsonl": 1}


def test_a_project_that_stays_open_sees_changed_files(project):
    opened = Project.open(project)
    task = opened.tasks[0]
    table = opened.field_table(task)
    assert (len(opened.samples()), opened.field_table(task)) == (60, table)
    write(project / "train.jsonl", dialogues(9, 3))
    assert len(opened.samples()) == len(opened.field_table(task)) == 9
    pages = read(project / "ocr.jsonl")
    write(project / "ocr.jsonl", pages[:1])
    assert list(opened.sidecars().ocr) == [pages[0]["image"]]
    assert opened.field_table(task).rows[0].sidecars is opened.sidecars()


def test_what_predicting_learns_about_images_stays_with_what_predicts(project):
    """The answers that no sidecar keeps must not reach what is mined later."""
    from kdsl.project.prediction import ProjectPredictor

    run(project, "mining.iterations=5")
    opened = Project.open(project)
    predictor = ProjectPredictor.open(opened, project / "test.jsonl")
    known = predictor.images.sidecars
    known.answers.setdefault("new.png", {})["图中有灯吗？"] = 0.9
    known.ocr.clear()
    assert "new.png" not in opened.sidecars().answers
    assert opened.sidecars().ocr


def test_the_projects_own_files_are_read_one_sample_at_a_time_until_somebody_read_them(project):
    path = project / "test.jsonl"
    [first, *_] = read(path)
    line = path.read_text("utf-8").splitlines()[0]
    path.write_text(f"{line}\n" * HEAD + "{damaged\n", "utf-8")
    assert next(Project.open(project).iterate_samples(path)).id == first["id"]


def test_samples_that_were_read_are_not_read_again(project, calls):
    opened = Project.open(project)
    known = opened.samples("test")
    assert list(map(id, opened.iterate_samples(project / "test.jsonl"))) == list(map(id, known))
    assert calls.counts["iterate_records"] == {"test.jsonl": 1}
