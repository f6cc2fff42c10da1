"""kdsl check and kdsl convert, and the project that commands open."""

import json
from pathlib import Path

import pytest

from kdsl.cli.convert import Target
from kdsl.data.conversion.forms import FORMS
from kdsl.errors import KdslError
from kdsl.project.project import Project

TASK = "name: returns\nlabels: [{name: 退款}, {name: 换货}]\n"


@pytest.fixture
def project(write, tmp_path) -> Path:
    write("task.yaml", TASK)
    write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl, captions: captions.jsonl, ocr: ocr.jsonl}\n")
    write("train.jsonl", "".join(_line(f"{i * 7919 % 97}", chr(0x4E00 + 31 * i) * 9, "退款换货"[i % 2 * 2 :][:2])
                                 for i in range(12)))  # fmt: skip
    return tmp_path


def _line(identity: str, text: str, label: str) -> str:
    return json.dumps({"id": identity, "text": text, "label": label}, ensure_ascii=False) + "\n"


class TestOpenProject:
    def test_samples_tasks_and_sidecars(self, project, write):
        write("captions.jsonl", '{"image": "a.jpg", "caption": "一张图"}\n')
        opened = Project.open(project, ["seed=4"])
        assert opened.config.seed == 4
        assert [task.name for task in opened.tasks] == ["returns"]
        assert len(opened.samples()) == len(opened.task_samples(opened.tasks[0])) == 12
        assert opened.sidecars().captions == {"a.jpg": "一张图"}
        assert opened.sidecars().ocr == {}

    def test_the_configuration_may_be_left_out(self, project, monkeypatch):
        monkeypatch.chdir(project)
        assert Project.open(overrides=["seed=4"]).config.seed == 4
        assert Project.open().config.seed == 0

    def test_a_split_that_is_not_set_is_named(self, project):
        with pytest.raises(KdslError, match=r"kdsl\.yaml: data\.test is not set; name the file of test samples there"):
            Project.open(project).samples("test")

    def test_two_tasks_of_one_name_are_refused(self, project, write):
        write("copy.yaml", TASK)
        with pytest.raises(KdslError, match="two task files have the name 'returns'"):
            Project.open(project, [f"tasks=[{project / 'task.yaml'}, {project / 'copy.yaml'}]"])

    @pytest.mark.parametrize("name", ["large", "Joint"])
    def test_a_task_may_not_be_called_like_a_folder_of_the_checkpoint(self, project, write, name):
        write("task.yaml", TASK.replace("returns", name))
        with pytest.raises(KdslError, match=f"line 1: name: '{name}' names a folder that KDSL makes itself"):
            Project.open(project)


class TestCheck:
    def test_a_clean_data_set_is_exit_code_0_with_counts(self, kdsl, project):
        result = kdsl("check", project)
        assert result.code == 0, result.out
        assert "No findings." in result.out
        assert "退款" in result.out and "12" in result.out

    def test_findings_are_exit_code_1_with_a_table(self, kdsl, project, write):
        write("train.jsonl", (project / "train.jsonl").read_text("utf-8") + _line("0", "再来一次", "退钱"))
        result = kdsl("check", project)
        assert result.code == 1
        assert "unknown-labels" in result.out.replace("\n", "")

    def test_json_for_machines(self, kdsl, project, write):
        write("test.jsonl", (project / "train.jsonl").read_text("utf-8").splitlines()[0])
        result = kdsl("check", project, f"data.test={project / 'test.jsonl'}", "--format", "json")
        report = json.loads(result.out)
        assert result.code == 1
        assert report["counts"]["returns"][0] == {"label": "退款", "train": 6, "test": 1}
        assert [(f["kind"], f["split"], f["count"]) for f in report["findings"]] == [("near-duplicates", "test", 1)]

    def test_a_truncated_file_is_exit_code_2(self, kdsl, project, write):
        write("train.jsonl", '{"id": "1", "te')
        result = kdsl("check", project)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"error: {project / 'train.jsonl'}, line 1: not valid JSON")


class TestConvert:
    def test_sharegpt(self, kdsl, project):
        output = project / "out.json"
        result = kdsl(
            "convert", project, "--input", project / "train.jsonl", "--output", output, "--format", "sharegpt"
        )
        beside = f"{project / 'dataset_info.json'}: has an entry 'out'\n"
        assert (result.code, result.out) == (0, f"{output}: 12 samples\n{beside}")
        assert len(json.loads(output.read_text("utf-8"))) == 12

    def test_submission(self, kdsl, project, write):
        items = write("items.json", '[{"id": "a", "instruction": "看"}]')
        predictions = write("p.jsonl", '{"id": "a", "label": "退款"}\n')
        arguments = ("convert", project, "--input", items, "--output", project / "s.csv", "--format", "submission")
        assert kdsl(*arguments, "--predictions", predictions).code == 0
        assert (project / "s.csv").read_text("utf-8-sig") == "id,instruction,predict\na,看,退款\n"
        assert "a submission needs --predictions FILE" in kdsl(*arguments).err

    @pytest.mark.parametrize("output", ["train.jsonl", "p.jsonl"])
    def test_what_is_converted_is_never_written_over(self, kdsl, project, write, output):
        predictions = write("p.jsonl", "".join(f'{{"id": "{i * 7919 % 97}", "label": "退款"}}\n' for i in range(12)))
        before = (project / output).read_bytes()
        for target in ("label-studio", "submission"):
            result = kdsl("convert", project, "--input", project / "train.jsonl", "--predictions", predictions,
                          "--output", project / output, "--format", target)  # fmt: skip
            assert (result.code, result.out) == (2, "")
            assert f"{output}: is the input too; give the converted samples a file of their own" in result.err
        assert (project / output).read_bytes() == before

    def test_predictions_for_other_ids_are_refused_and_nothing_is_written(self, kdsl, project, write):
        items = write("items.json", '[{"id": "a"}]')
        predictions = write("p.jsonl", '{"id": "b", "label": "退款"}\n')
        result = kdsl("convert", project, "--input", items, "--output", project / "s.csv", "--format", "submission",
                      "--predictions", predictions)  # fmt: skip
        assert result.code == 2
        assert "items.json, element 1: no prediction for id 'a' of returns; predict this file first" in result.err
        assert not (project / "s.csv").exists()

    def test_predictions_are_written_into_a_spreadsheet_by_its_ending(self, kdsl, project, write, caplog):
        predictions = write("p.jsonl", '{"id": "0", "label": "退款", "probabilities": {"退款": 0.75, "换货": 0.25}}\n')
        output = project / "p.csv"
        result = kdsl("convert", project, "--input", project / "train.jsonl", "--predictions", predictions,
                      "--output", output)  # fmt: skip
        assert (result.code, result.out) == (0, f"{output}: 12 samples, 1 of them predicted\n")
        assert output.read_text("utf-8-sig").splitlines()[1].endswith(",退款,0.75,换货,0.25")
        assert "11 samples without a prediction, the first in line 2" in caplog.text

    def test_the_formats_are_those_of_the_table(self):
        assert [target.value for target in Target] == [
            *(form.name for form in FORMS),
            "llama-factory",
            "swift",
            "submission",
        ]

    @pytest.mark.parametrize("format", ["submission", "sharegpt"])
    def test_a_label_that_the_task_does_not_have_is_refused_and_nothing_is_written(self, kdsl, project, write, format):
        samples = (
            write("items.jsonl", _line("a", "看", "退货 "))
            if format == "sharegpt"
            else write("items.json", '[{"id": "a"}]')
        )
        predictions = write("p.jsonl", '{"id": "a", "label": "退货 ", "task": "returns"}\n')
        with_them = ("--predictions", predictions) if format == "submission" else ()
        result = kdsl("convert", project, "--input", samples, "--output", project / "out", "--format", format,
                      *with_them)  # fmt: skip
        assert (result.code, result.out) == (2, "")
        assert "line 1: " in result.err
        assert "the label '退货 ' is none of the labels of returns; write one of 退款, 换货" in result.err
        assert not (project / "out").exists()
