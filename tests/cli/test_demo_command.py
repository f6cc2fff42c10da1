"""kdsl demo: unpacks the demo that comes with the package, runs it, and touches nothing that is there."""

from pathlib import Path

import pytest

import kdsl as package

PACKED = Path(package.__file__).parent / "demo"


@pytest.fixture
def runs(monkeypatch) -> list[tuple[list[str], int | None]]:
    """What `kdsl run` was asked to do, instead of doing it."""
    asked: list[tuple[list[str], int | None]] = []
    monkeypatch.setattr("kdsl.cli.run.run", lambda arguments, workers: asked.append((arguments, workers)))
    return asked


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_demo_is_unpacked_into_the_folder_and_run(kdsl, runs, tmp_path):
    folder = tmp_path / "演示 1"
    result = kdsl("demo", folder, "seed=3", "--workers", 1)
    assert result.code == 0
    assert contents(folder) == contents(PACKED)
    assert runs == [([str(folder), "seed=3"], 1)]
    assert f"kdsl predict '{folder}' --input '{folder}/data/test.json' --explain demo-0340" in result.out
    assert f"{folder}/rules: the rules as files" in result.out


def test_without_a_folder_it_is_kdsl_demo_here(kdsl, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kdsl("demo", "seed=3").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["kdsl-demo"]
    assert runs == [(["kdsl-demo", "seed=3"], None)]


def test_the_same_command_goes_on_with_what_a_person_changed(kdsl, runs, tmp_path):
    kdsl("demo", tmp_path)
    (tmp_path / "kdsl.yaml").write_text((tmp_path / "kdsl.yaml").read_text("utf-8").replace("seed: 0", "seed: 7"))
    (tmp_path / "data/train.json").write_text("[]")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/rule.yaml").write_text("status: accepted")
    changed = contents(tmp_path)
    assert kdsl("demo", tmp_path).code == 0
    assert contents(tmp_path) == changed
    assert len(runs) == 2


def test_an_unpacking_that_was_interrupted_is_finished(kdsl, runs, tmp_path, monkeypatch):
    from kdsl.files import write_atomically

    def interrupted(path: Path, content: bytes) -> None:
        if path.name == "train.json":
            raise KeyboardInterrupt
        write_atomically(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("kdsl.project.demo.write_atomically", interrupted)
        assert kdsl("demo", tmp_path).code == 130
    assert (contents(tmp_path) != contents(PACKED), runs) == (True, [])
    assert kdsl("demo", tmp_path).code == 0
    assert contents(tmp_path) == contents(PACKED)


def test_a_folder_with_hidden_files_alone_counts_as_empty(kdsl, runs, tmp_path):
    (tmp_path / ".git").mkdir()
    assert kdsl("demo", tmp_path).code == 0


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("notes.txt", "mine", "is not empty and holds no demo; name a new or empty folder"),
        ("kdsl.yaml", "tasks: [mire_intent]\n", "holds a project of its own; name another folder for the demo"),
        ("kdsl.yaml", "tasks: [\n", "kdsl.yaml, line 2"),
    ],
)
def test_another_folder_is_not_touched(kdsl, runs, write, tmp_path, name, text, message):
    write(name, text)
    result = kdsl("demo", tmp_path)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert contents(tmp_path) == {name: text.encode()}
    assert runs == []


def test_a_file_is_not_taken_for_a_folder(kdsl, runs, write):
    result = kdsl("demo", write("notes.txt", "mine"))
    assert result.code == 2
    assert "notes.txt is a file; name a new or empty folder for the demo" in result.err


def test_nothing_is_written_below_a_link_that_leads_out(kdsl, runs, tmp_path):
    folder, outside = tmp_path / "demo", tmp_path / "outside"
    kdsl("demo", folder)
    outside.mkdir()
    for path in (folder / "tasks").iterdir():
        path.unlink()
    (folder / "tasks").rmdir()
    (folder / "tasks").symlink_to(outside)
    result = kdsl("demo", folder)
    assert result.code == 2
    assert "leads outside" in result.err
    assert list(outside.iterdir()) == []


def test_a_mistake_in_an_override_is_told_before_anything_is_written(kdsl, runs, tmp_path):
    result = kdsl("demo", tmp_path / "demo", "sed=1")
    assert result.code == 2
    assert "unknown key 'sed'" in result.err
    assert not (tmp_path / "demo").exists()
