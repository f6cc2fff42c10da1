"""Folders that are one data set: which files in them are read, and what is told where that is open."""

import json

import pytest

from kdsl.data.containers import file_values
from kdsl.errors import KdslError

pyarrow = pytest.importorskip("pyarrow")


def write_arrow(path, *texts: str) -> None:
    table = pyarrow.table({"text": list(texts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def write_saved(folder, *files: str) -> None:
    """As `Dataset.save_to_disk` does; each file holds its own name as a text."""
    for name in files:
        write_arrow(folder / name, name)
    state = {"_data_files": [{"filename": name} for name in files], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


def texts(path) -> list[str]:
    return [value.value["text"] for value in file_values(path, [])]


def write_csv(path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"text\n{text}\n")


def test_a_saved_dataset_is_read_in_the_order_of_its_state(tmp_path):
    write_saved(tmp_path / "ds", "data-00001-of-00002.arrow", "data-00000-of-00002.arrow")
    found = list(file_values(tmp_path / "ds", []))
    assert [(value.place, value.number) for value in found] == [
        ("data-00001-of-00002.arrow, row 1", "1"),
        ("data-00000-of-00002.arrow, row 1", "2"),
    ]


def test_a_state_names_no_file_outside_its_folder(tmp_path):
    write_saved(tmp_path / "ds", "data-00000-of-00001.arrow")
    write_arrow(tmp_path / "secret.arrow", "secret")
    (tmp_path / "ds/state.json").write_text('{"_data_files": [{"filename": "../secret.arrow"}]}')
    with pytest.raises(KdslError, match=r"'\.\./secret\.arrow' leads outside"):
        texts(tmp_path / "ds")


def test_of_a_dataset_dict_with_one_split_that_is_read(tmp_path):
    write_saved(tmp_path / "ds/train", "data-00000-of-00001.arrow")
    (tmp_path / "ds/dataset_dict.json").write_text('{"splits": ["train"]}')
    assert texts(tmp_path / "ds") == texts(tmp_path / "ds/train") == ["data-00000-of-00001.arrow"]


def test_of_a_dataset_dict_with_several_splits_they_are_told(tmp_path):
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(KdslError, match=r"holds the splits 'train', 'test'; give the folder of one, such as .*train"):
        texts(tmp_path)


def test_files_of_one_split_are_read_together_and_others_passed_over(tmp_path):
    for number, text in enumerate(("a", "b")):
        write_csv(tmp_path / f"data/train-{number:05}-of-00002.csv", text)
    (tmp_path / "README.md").write_text("# about")
    (tmp_path / "dataset_infos.json").write_text("{}")
    (tmp_path / ".hidden.csv").write_text("text\nx\n")
    assert texts(tmp_path) == ["a", "b"]


def test_files_of_several_splits_are_told(tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_csv(tmp_path / f"data/{name}.csv", name)
    with pytest.raises(
        KdslError,
        match=r"holds files of the splits 'test' \(1\), 'train' \(2\); give one file, such as .*test-00000-of-00001"
        r"\.csv, or a folder with the files of one split",
    ):
        texts(tmp_path)


def test_a_part_by_itself_is_read_with_a_warning(tmp_path, caplog):
    write_csv(tmp_path / "train-00001-of-00002.csv", "a")
    write_csv(tmp_path / "test-00000-of-00001.csv", "b")
    assert texts(tmp_path / "train-00001-of-00002.csv") == ["a"]
    assert "is one of 2 parts, of which no other is read; give the folder" in caplog.text
    caplog.clear()
    assert texts(tmp_path / "test-00000-of-00001.csv") == ["b"] and not caplog.text


@pytest.mark.parametrize("names", [("train.csv", "test.csv"), ("train/a.csv", "valid/a.csv"), ("my_dev.csv", "b.csv")])
def test_a_split_is_told_by_the_name_of_a_file_or_its_folder(tmp_path, names):
    for name in names:
        write_csv(tmp_path / name, "a")
    with pytest.raises(KdslError, match="holds files of the splits"):
        texts(tmp_path)


def test_an_error_in_a_part_names_it(tmp_path):
    write_csv(tmp_path / "a.csv", "x")
    (tmp_path / "b.csv").write_text("text,label\n")
    with pytest.raises(KdslError, match=r"b\.csv, line 1: holds column names"):
        texts(tmp_path)


def test_a_folder_without_samples_is_told(tmp_path):
    with pytest.raises(
        KdslError, match="is a folder, not a file, and no file of samples is in it; give the name of one"
    ):
        texts(tmp_path)
