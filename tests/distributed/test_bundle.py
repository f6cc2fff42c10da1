"""What workers on other machines read of a project is sent with the work, and nothing else of it is needed there."""

import pickle
import shutil
from pathlib import Path

import pytest
from small_shop import dialogues, write, write_project

from kdsl.distributed.bundle import Bundle, Unpacked
from kdsl.distributed.steps.predict import Predict
from kdsl.distributed.storage import Storage
from kdsl.distributed.work import Job, ShardWorker
from kdsl.errors import KdslError
from kdsl.project.mining import mine_project
from kdsl.project.project import Project
from kdsl.project.training import train_project


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("bundle") / "project")
    project = Project.open(folder)
    mine_project(project, workers=1)
    train_project(project)
    return folder


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "project"))


def job_of(project: Project, shards: Path, output: Path) -> Job:
    return Job(Predict(("shop",)), project.config, Storage(str(shards)), Storage(str(output)), "state", ("shop",))


def sent(bundle: Bundle) -> Unpacked:
    """As it arrives on another machine."""
    return pickle.loads(pickle.dumps(bundle)).unpacked()


def test_a_worker_needs_nothing_of_the_project_where_it_was(shop, tmp_path):
    from kdsl.distributed.shards import find_shards

    (tmp_path / "shards").mkdir()
    write(tmp_path / "shards" / "a.jsonl", dialogues(10, 3))
    [shard] = find_shards(Storage(str(tmp_path / "shards")))
    here = ShardWorker(job_of(Project.open(shop), tmp_path / "shards", tmp_path / "here"))
    assert here.work(shard).samples == 10
    here.close()
    bundle = Bundle.of(job_of(Project.open(shop), tmp_path / "shards", tmp_path / "there"))
    shutil.rmtree(shop)
    unpacked = sent(bundle)
    there = ShardWorker(unpacked.job)
    assert there.work(shard).samples == 10
    there.close()
    first, second = (Storage(str(tmp_path / name)).read(shard.result) for name in ("here", "there"))
    assert first == second


def test_what_a_step_reads_is_there_and_the_rest_is_not(shop, tmp_path):
    (shop / "pages").mkdir()
    write(shop / "pages" / "a.jsonl", [{"image": "a.png"}])
    write(shop / "captions.jsonl", [{"image": "a.png"}])
    (shop / "checkpoints" / "runs").mkdir(exist_ok=True)
    write(shop / "checkpoints" / "runs" / "run.jsonl", [])
    project = Project.open(
        shop, {"data.ocr": str(shop / "pages"), "data.captions": str(shop / "captions.jsonl"), "seed": 3}
    )
    unpacked = sent(Bundle.of(job_of(project, tmp_path / "in", tmp_path / "out")))
    config, here = unpacked.job.config, Path(unpacked.folder.name)
    assert (here / "data" / "ocr" / "a.jsonl").read_bytes() == (shop / "pages" / "a.jsonl").read_bytes()
    assert config.data.ocr == here / "data" / "ocr"
    assert config.data.captions == here / "data" / "captions.jsonl"
    assert config.seed == 3
    assert not (here / "checkpoint" / "runs").exists()
    assert not list(here.rglob("train*"))
    for path in (config.rules, config.checkpoint, *(Path(name) for name in config.tasks if Path(name).is_absolute())):
        assert path.is_relative_to(here) and path.exists()
    unpacked.folder.cleanup()
    assert not here.exists()


def test_relative_places_are_seen_from_where_the_command_was_given(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = Bundle.of(job_of(Project.open(shop), Path("in"), Path("out")))
    monkeypatch.chdir("/")
    job = sent(bundle).job
    assert (job.input.folder, job.output.folder) == (tmp_path / "in", tmp_path / "out")


def test_a_file_that_cannot_be_read_is_named(shop, tmp_path, monkeypatch):
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    job = job_of(Project.open(shop), tmp_path / "in", tmp_path / "out")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        KdslError, match=r"/project/.*: cannot be read \(Permission denied\), but workers need it; look"
    ):
        Bundle.of(job)
