"""A teacher's labels over shards: those that one round of kdsl distill keeps, and samples that it says nothing of."""

import shutil
from pathlib import Path

import pytest
from small_shop import WORDS, read, write

from kdsl.distillation.distilled_file import read_distilled
from kdsl.distributed.results import Results
from kdsl.distributed.running import Outcome, in_processes, run_over_shards
from kdsl.distributed.steps.distill import Distill
from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError
from kdsl.project.distillation import distil_into_file
from kdsl.project.project import Project
from kdsl.result_shards import records_at

LACKS = ("prompt_logprobs",)
REPLIES = [(word, label) for label, words in WORDS.items() for word in words]


@pytest.fixture
def server(shared_server):
    shared_server.become(answer="不知道", replies=REPLIES, lacks=LACKS, constraint=None)
    return shared_server


@pytest.fixture
def shop(trained: Path, tmp_path: Path, server) -> Path:
    """Its unlabelled samples, and one that is like a training sample, in two shards."""
    folder = Path(shutil.copytree(trained, tmp_path / "project"))
    pool = [*read(folder / "pool.jsonl"), {**read(folder / "train.jsonl")[0], "id": "known"}]
    write(folder / "pool.jsonl", pool)
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.jsonl", pool[:11])
    write(tmp_path / "in" / "b.jsonl", pool[11:])
    return folder


def opened(shop: Path, server) -> Project:
    return Project.open(shop, [f"distill.teacher={server.url}"])


def run(project: Project, folder: Path) -> Outcome:
    return run_over_shards(project, Distill(5, 1, batch=4), str(folder / "in"), str(folder / "out"), in_processes(1))


def test_they_are_those_of_one_round_on_one_file(shop, server, tmp_path):
    project = opened(shop, server)
    distil_into_file(project, 5, 1)
    assert run(project, tmp_path).problems == 0
    kept = read(shop / "distilled.jsonl")
    assert 0 < len(kept) < 25
    assert [record for _, record in records_at(tmp_path / "out")] == kept


def test_they_are_learned_from_as_a_file_is(shop, server, tmp_path):
    project = opened(shop, server)
    run(project, tmp_path)
    write(tmp_path / "d.jsonl", [record for _, record in records_at(tmp_path / "out")])
    (of_file, shares_of_file), (of_shards, shares) = (
        read_distilled(path, project.tasks)["shop"] for path in (tmp_path / "d.jsonl", tmp_path / "out")
    )
    assert of_shards == of_file
    assert shares.tolist() == shares_of_file.tolist()


def test_a_sample_that_gets_no_label_is_a_problem(shop, server, tmp_path):
    word = next(word for word, _ in REPLIES if word in str(read(tmp_path / "in" / "a.jsonl")[0]))
    server.become(answer="不知道", replies=[each for each in REPLIES if each[0] != word], lacks=LACKS, constraint=None)
    outcome = run(opened(shop, server), tmp_path)
    errors = Results(Storage(str(tmp_path / "out"))).errors()
    assert errors is not None and outcome.problems == errors.num_rows > 0
    assert set(errors["message"].to_pylist()) == {f"{server.url}: its answer is none of the labels"}


def test_a_teacher_who_never_names_a_label_ends_it(shop, server, tmp_path):
    server.become(answer="不知道", replies=[], lacks=LACKS, constraint=None)
    with pytest.raises(KdslError, match=r"none of its 16 answers is one of 调光, 材质, 物流"):
        run(opened(shop, server), tmp_path)


def test_without_a_teacher_nothing_begins(shop, tmp_path):
    with pytest.raises(KdslError, match=r"distill\.teacher is not set; name a server"):
        run(Project.open(shop), tmp_path)
