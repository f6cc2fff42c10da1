"""Converting between the forms of all tools: what is written is read back, and what has no place is told."""

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from kdsl.data.conversion import containers
from kdsl.data.conversion.convert import convert_samples
from kdsl.data.conversion.dataset_info import FILE
from kdsl.data.conversion.forms import FORMS, form_for, form_named
from kdsl.data.dialogue import START_MARKER
from kdsl.data.readers import read_samples
from kdsl.data.writers import plain_record
from kdsl.errors import KdslError
from kdsl.json_file import write_jsonl
from kdsl.sample import Label, Sample, Task, Turn

PROMPT = f"判断意图。\n{START_MARKER}\n{{dialogue}}\n<用户与客服的对话 END>\n标签：{{labels}}\n"
TASK = Task("intent", (Label("退款"), Label("size, please")), PROMPT)
TEXTS = Task("topic", (Label("a"), Label("b")))
SAMPLES = [
    Sample("1", "intent", (Turn("user", "钱退了没有"),), (), "退款"),
    Sample("2", "intent", (Turn("user", "亮吗", ("a.png", "b.png")), Turn("agent", "在")), ("a.png", "b.png"), None),
    Sample("3", "intent", (Turn("user", "=1+1"), Turn("agent", "007")), (), "size, please"),
    Sample("1+1", "intent", (Turn("user", "退"),), (), "退款", copy_of="1"),
]


@pytest.fixture
def convert(tmp_path):
    """What is written of samples in a form, the path of it beside."""

    def write(name, samples=SAMPLES, task=TASK, predictions=None):
        write_jsonl(tmp_path / "in.jsonl", map(plain_record, samples))
        form = form_named(name)
        output = tmp_path / f"out{form.ending}"
        lines = None
        if predictions is not None:
            lines = tmp_path / "predictions.jsonl"
            write_jsonl(lines, predictions)
        convert_samples(tmp_path / "in.jsonl", [task], form, output, lines)
        return output

    return write


def records(path):
    text = path.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


READ_BACK = {
    "jsonl": SAMPLES,
    "csv": SAMPLES,
    "xlsx": SAMPLES,
    "parquet": SAMPLES,
    "sharegpt": SAMPLES,
    "ms-swift": SAMPLES,
    "mire": SAMPLES,
    "label-studio": SAMPLES,
    "openai": [replace(s, id=str(n), copy_of=None) for n, s in enumerate(SAMPLES, start=1)],
}
"""Form → what its reader gives back of SAMPLES; the other forms hold texts, not dialogues: see below."""


@pytest.mark.parametrize("name", READ_BACK)
def test_what_is_written_is_read_back(convert, name):
    assert read_samples(convert(name), [TASK]) == READ_BACK[name]


HEARD = [
    Sample("1", "intent", (Turn("user", "听", (), ("a.wav",)),), (), "退款", audio=("a.wav",)),
    Sample(
        "2",
        "intent",
        (Turn("user", "", ("a.png",), ("b.amr", "shop/c d.m4a")), Turn("agent", "在", (), ("d.wav",))),
        ("a.png",),
        None,
        audio=("b.amr", "shop/c d.m4a", "d.wav"),
    ),
    Sample("3", "intent", (), (), "退款", audio=("e.wav", "f.wav")),
    Sample("4", "intent", (Turn("user", "退"),), (), "退款"),
]


@pytest.mark.parametrize("name", ["jsonl", "csv", "xlsx", "parquet", "sharegpt", "ms-swift", "label-studio", "mire"])
def test_sounds_are_read_back_from_every_form_that_has_a_place_for_them(convert, name, caplog):
    if name in ("xlsx", "parquet"):
        pytest.importorskip({"xlsx": "xlsxwriter", "parquet": "pyarrow"}[name], reason="needs an extra")
    assert read_samples(convert(name, HEARD), [TASK]) == HEARD
    assert "sounds" not in caplog.text


def test_a_text_with_sounds_is_read_back_as_an_instruction(convert):
    sample = Sample("1", "topic", (Turn("user", "听"),), ("a.png",), "a", audio=("a.wav", "b.wav"))
    other = Sample("2", "topic", (Turn("user", "看"),), (), "b")
    path = convert("alpaca", [sample, other], TEXTS)
    assert records(path)[0]["input"] == "<image><audio><audio>听"
    assert records(path)[0]["audios"] == ["a.wav", "b.wav"]
    assert read_samples(path, [TEXTS]) == [sample, other]


@pytest.mark.parametrize("name", ["openai", "doccano", "prodigy", "argilla", "rasa"])
def test_where_sounds_have_no_place_that_is_told_and_no_mark_stays(convert, name, caplog):
    samples = [replace(HEARD[0], turns=(Turn("user", "听", (), ("a.wav",)),)), replace(HEARD[3], images=())]
    text = convert(name, samples).read_text("utf-8")
    assert "<audio>" not in text and "a.wav" not in text
    assert f"1 samples whose sounds were left out, as {form_named(name).tool} has no place for" in caplog.text


def test_a_prompt_marks_every_sound_once(convert):
    [first, second, third, _] = records(convert("sharegpt", HEARD))
    assert first["messages"][0]["content"].count("<audio>") == 1 and first["audios"] == ["a.wav"]
    assert "用户: <image><audio><audio>\n客服: 在<audio>\n" in second["messages"][0]["content"]
    assert third["messages"][0]["content"].startswith("<audio><audio>判断意图。")


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "rasa"], ids=lambda form: form.name)
def test_texts_and_labels_are_read_back_from_every_form(convert, form):
    if form.name in ("xlsx", "parquet"):
        pytest.importorskip({"xlsx": "xlsxwriter", "parquet": "pyarrow"}[form.name], reason="needs an extra")
    said = [("太大了", "a"), ("=1+1", "b"), ("007", "a"), ('含,逗号"和换行', "b")]
    samples = [Sample(f"k{n}", "topic", (Turn("user", text),), (), label) for n, (text, label) in enumerate(said)]
    found = read_samples(convert(form.name, samples, TEXTS), [TEXTS])
    assert [(sample.turns[0].text, sample.label) for sample in found] == said
    assert form.name == "openai" or [sample.id for sample in found] == [sample.id for sample in samples]


words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda text: (
        text.strip() == text and "<im" not in text and "<au" not in text and "：" not in text and ":" not in text
    )
)
images = st.sampled_from([(), ("a.png",), ("b c.png", "d")])
turns = st.builds(Turn, st.sampled_from(["user", "agent"]), words, images)
sounds = st.sampled_from([(), ("a.wav",), ("b c.amr", "d.m4a")])
heard = st.builds(Turn, st.sampled_from(["user", "agent"]), words | st.just(""), images, sounds).filter(
    lambda turn: turn.text or turn.audio
)


@given(st.lists(st.tuples(st.lists(turns, min_size=1, max_size=3), st.sampled_from(["退款", None])), min_size=1))
@pytest.mark.parametrize("name", ["jsonl", "sharegpt", "ms-swift", "mire", "openai"])
def test_any_dialogue_is_read_back(tmp_path_factory, name, given):
    samples = [
        Sample(str(number), "intent", tuple(said), tuple(image for turn in said for image in turn.images), label)
        for number, (said, label) in enumerate(given, start=1)
    ]
    folder = tmp_path_factory.mktemp("convert")
    write_jsonl(folder / "in.jsonl", map(plain_record, samples))
    form = form_named(name)
    convert_samples(folder / "in.jsonl", [TASK], form, folder / f"out{form.ending}")
    assert read_samples(folder / f"out{form.ending}", [TASK]) == samples


@given(
    st.lists(
        st.tuples(
            st.lists(heard, min_size=1, max_size=3), st.sampled_from([(), ("e.wav",)]), st.sampled_from(["退款", None])
        ),
        min_size=1,
        max_size=4,
    )
)
@pytest.mark.parametrize("name", ["jsonl", "csv", "sharegpt", "ms-swift", "mire", "label-studio"])
def test_any_dialogue_with_sounds_is_read_back(tmp_path_factory, name, given):
    samples = []
    for number, (said, more, label) in enumerate(given, start=1):
        images = tuple(image for turn in said for image in turn.images)
        audio = (*more, *(sound for turn in said for sound in turn.audio))
        samples.append(Sample(f"k{number}", "intent", tuple(said), images, label, audio=audio))
    folder = tmp_path_factory.mktemp("convert")
    write_jsonl(folder / "in.jsonl", map(plain_record, samples))
    form = form_named(name)
    convert_samples(folder / "in.jsonl", [TASK], form, folder / f"out{form.ending}")
    assert read_samples(folder / f"out{form.ending}", [TASK]) == samples


class TestTables:
    def test_csv_has_texts_as_such_dialogues_as_turns_and_no_cell_that_runs(self, convert):
        text = convert("csv").read_bytes().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert list(rows[0]) == ["id", "task", "text", "turns", "images", "label", "copy_of"]
        assert [*rows[0].values()] == ["1", "intent", "钱退了没有", "", "", "退款", ""]
        assert (rows[2]["text"], json.loads(rows[2]["turns"])[0]["text"]) == ("", "=1+1")
        assert json.loads(rows[1]["turns"]) == plain_record(SAMPLES[1])["turns"]
        assert json.loads(rows[1]["images"]) == ["a.png", "b.png"]

    @pytest.mark.parametrize(
        ("text", "cell"), [("=A1", "'=A1"), ("007", "'007"), ("1-2", "'1-2"), ("7", "7"), ("12 灯", "12 灯")]
    )
    def test_what_a_spreadsheet_would_run_or_change_stands_behind_an_apostrophe(self, convert, text, cell):
        output = convert("csv", [Sample("x", "topic", (Turn("user", text),), ("a.png",), "a")], TEXTS)
        assert output.read_text("utf-8-sig") == f"id,task,text,images,label\nx,topic,{cell},a.png,a\n"

    def test_excel_has_texts_as_texts(self, convert):
        pandas = pytest.importorskip("pandas", reason="needs pandas")
        pytest.importorskip("xlsxwriter", reason="needs the extra excel")
        pytest.importorskip("python_calamine", reason="needs the extra excel")
        samples = [Sample("007", "topic", (Turn("user", "=1+1"),), (), "a"), Sample("2", "topic", (), ("a.png",))]
        found = pandas.read_excel(convert("xlsx", samples, TEXTS), engine="calamine", dtype=str, keep_default_na=False)
        assert found.to_dict("records") == [
            {"id": "007", "task": "topic", "text": "=1+1", "images": "", "label": "a"},
            {"id": "2", "task": "topic", "text": "", "images": "a.png", "label": ""},
        ]

    def test_a_text_that_no_cell_of_excel_holds_is_an_error(self, convert, tmp_path):
        pytest.importorskip("xlsxwriter", reason="needs the extra excel")
        with pytest.raises(
            KdslError, match=r"sample 'x': text has 32,768 characters, an Excel cell holds 32,767; wri"
        ):
            convert("xlsx", [Sample("x", "topic", (Turn("user", "长" * 32_768),))], TEXTS)
        assert not (tmp_path / "out.xlsx").exists()

    def test_parquet_has_turns_and_images_as_lists(self, convert):
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra arrow")
        table = parquet.read_table(convert("parquet"))
        assert table.column_names == ["id", "task", "text", "turns", "images", "label", "copy_of"]
        rows = table.to_pylist()
        assert rows[0]["text"] == "钱退了没有" and rows[0]["turns"] is None
        assert rows[1]["images"] == ["a.png", "b.png"]
        assert [turn["text"] for turn in rows[2]["turns"]] == ["=1+1", "007"]

    def test_more_samples_than_a_sheet_has_rows_are_an_error(self, convert, monkeypatch):
        pytest.importorskip("xlsxwriter", reason="needs the extra excel")
        monkeypatch.setattr(containers, "SHEET_ROWS", 4)
        with pytest.raises(
            KdslError, match=r"4 samples are more than the rows of an Excel sheet; write .csv or .parqu"
        ):
            convert("xlsx")
        assert convert("xlsx", SAMPLES[:3]).exists()


class TestTools:
    def test_openai_has_images_as_parts_and_nothing_but_messages(self, convert):
        [_, sample, *_] = records(convert("openai"))
        assert list(sample) == ["messages"]
        kinds = [part["type"] for part in sample["messages"][0]["content"]]
        assert kinds == ["text", "image_url", "image_url", "text"]
        assert sample["messages"][0]["content"][1]["image_url"] == {"url": "a.png"}

    def test_alpaca_has_one_instruction_the_text_as_input_and_the_label_as_output(self, convert):
        found = records(convert("alpaca"))
        assert {each["instruction"] for each in found} == {"判断下面的内容属于哪一类：退款, size, please"}
        assert (found[0]["input"], found[0]["output"]) == ("钱退了没有", "退款")
        assert found[1]["input"] == "<image><image>用户: 亮吗\n客服: 在"
        assert (found[1]["output"], found[1]["images"]) == ("", ["a.png", "b.png"])

    def test_label_studio_has_tasks_with_data_and_an_annotation(self, convert):
        first, second, *_ = records(convert("label-studio"))
        assert first["data"] == {"text": "钱退了没有"}
        assert first["annotations"] == [
            {"result": [{"from_name": "intent", "to_name": "text", "type": "choices", "value": {"choices": ["退款"]}}]}
        ]
        assert second["data"] == {"turns": plain_record(SAMPLES[1])["turns"], "images": ["a.png", "b.png"]}
        assert second["annotations"] == []

    def test_label_studio_asks_about_the_image_where_nothing_is_said(self, convert):
        [task] = records(convert("label-studio", [Sample("1", "topic", (), ("a.png",), "a")], TEXTS))
        assert task["data"] == {"image": "a.png"}
        assert task["annotations"][0]["result"][0]["to_name"] == "image"

    def test_doccano_and_prodigy(self, convert, caplog):
        assert records(convert("doccano"))[0] == {
            "id": "1", "text": "钱退了没有", "label": ["退款"], "Comments": [], "task": "intent"
        }  # fmt: skip
        first, second, *_ = records(convert("prodigy"))
        assert first["accept"] == ["退款"] and first["answer"] == "accept"
        assert first["options"][1] == {"id": "size, please", "text": "size, please"}
        assert second["image"] == "a.png" and "accept" not in second

    def test_argilla_has_labels_as_suggestions(self, convert):
        first, second, *_ = records(convert("argilla"))
        assert first["fields"] == {"text": "钱退了没有"}
        assert first["suggestions"] == {"intent": {"value": "退款", "score": None, "agent": "label"}}
        assert (first["metadata"], first["responses"]) == ({"label": "退款"}, {})
        assert second["fields"]["turns"] == [{"role": "user", "content": "亮吗"}, {"role": "agent", "content": "在"}]
        assert second["suggestions"] == {}

    def test_rasa_is_yaml_that_gives_each_text_back(self, convert, caplog):
        samples = [
            Sample("1", "topic", (Turn("user", "- x: {y}\n#z"),), (), "a"),
            Sample("2", "topic", (Turn("user", "'q\" \x07|>"),), (), "b"),
            Sample("3", "topic", (Turn("user", "to [Paris](city) [1]"),), (), "a"),
            Sample("4", "topic", (Turn("user", "unlabelled"),)),
        ]
        found = YAML(typ="safe").load(convert("rasa", samples, TEXTS).read_text("utf-8"))
        assert found["version"] == "3.1"
        assert found["nlu"] == [
            {"intent": "a", "examples": "- - x: {y} #z\n- to [Paris](city) [1]\n"},
            {"intent": "b", "examples": "- 'q\"  |>\n"},
        ]
        assert "1 texts with brackets that Rasa takes for an entity" in caplog.text
        assert "2 texts with line breaks or control characters, which became spaces" in caplog.text
        assert (
            "1 samples without a label left out, as Rasa keeps texts by their label, the first in line 4"
            in caplog.text
        )


LOST = {
    "alpaca": [
        "2 dialogues written as one text, as Alpaca holds texts",
        "1 samples that are changed copies of others",
    ],
    "openai": ["4 ids left out, for which OpenAI's form has no place", "1 samples that are changed copies of others"],
    "doccano": ["2 dialogues written as one text", "1 samples whose images were left out, as doccano has no place"],
    "prodigy": ["1 samples of whose images only the first was written, as Prodigy has a place for one"],
    "argilla": ["1 samples of whose images only the first was written, as Argilla has a place for one"],
    "rasa": ["3 ids left out", "1 dialogues written as one text", "1 samples without a label left out"],
}


@pytest.mark.parametrize("name", [form.name for form in FORMS])
def test_what_a_form_has_no_place_for_is_counted_and_told_and_nothing_else(convert, name, caplog):
    convert(name)
    for told in LOST.get(name, []):
        assert told in caplog.text
    assert bool(caplog.records) == (name in LOST)


def test_turns_that_a_prompt_leaves_out_are_told(convert, caplog):
    task = Task("scene", (Label("a"), Label("b")), "Picture 1: <image>\n请分类：{labels}。")
    convert("sharegpt", [Sample("1", "scene", (Turn("user", "x"),), ("a.png",), "a")], task)
    assert "1 samples whose turns were left out, as the task's prompt has no {dialogue}" in caplog.text


LINE = {
    "id": "1", "task": "intent", "label": "退款", "probabilities": {"退款": 0.9, "size, please": 0.1},
    "rules": [{"id": "r-1", "label": "退款"}, {"id": "r-2", "label": "退款"}],
    "decision": {"by": "rules", "label_without_rules": "size, please", "reason": "rule r-1 speaks"},
}  # fmt: skip
COLUMNS = {
    "predicted": "退款", "confidence": 0.9, "runner_up": "size, please", "runner_up_confidence": 0.1,
    "decided_by": "rules", "label_without_rules": "size, please", "rules": ["r-1", "r-2"],
    "reason": "rule r-1 speaks",
}  # fmt: skip


class TestPredictions:
    def test_json_lines_and_parquet_have_them_beside_the_sample(self, convert):
        [first, second, *_] = records(convert("jsonl", predictions=[LINE]))
        assert first == plain_record(SAMPLES[0]) | COLUMNS
        assert second == plain_record(SAMPLES[1])
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra arrow")
        rows = parquet.read_table(convert("parquet", predictions=[LINE])).to_pylist()
        assert {key: rows[0][key] for key in COLUMNS} == COLUMNS
        assert rows[1]["predicted"] is None

    def test_a_table_has_the_dialogue_for_people_too(self, convert):
        line = {**LINE, "id": "2"}
        rows = list(csv.DictReader(io.StringIO(convert("csv", predictions=[line]).read_text("utf-8-sig"))))
        assert rows[1]["dialogue"] == "用户: 亮吗\n客服: 在"
        assert (rows[1]["predicted"], rows[1]["rules"]) == ("退款", '["r-1", "r-2"]')
        assert float(rows[1]["confidence"]) == 0.9

    def test_what_is_missing_on_either_side_is_counted(self, convert, caplog):
        convert("jsonl", predictions=[LINE, {"id": "gone", "label": "退款"}])
        assert "in.jsonl: 3 samples without a prediction, the first in line 2" in caplog.text
        assert "1 predictions left out, whose samples are not there, the first in" in caplog.text
        assert "predictions.jsonl, line 2" in caplog.text

    def test_label_studio_gets_a_prediction_in_its_own_form(self, convert):
        [task, *_] = records(convert("label-studio", predictions=[LINE]))
        [prediction] = task["predictions"]
        assert prediction["model_version"] == "kdsl"
        assert prediction["score"] == 0.9
        assert prediction["result"] == [
            {"from_name": "intent", "to_name": "text", "type": "choices", "value": {"choices": ["退款"]}}
        ]
        assert task["meta"]["kdsl"] == COLUMNS

    def test_argilla_gets_a_suggestion_and_metadata(self, convert):
        [record, *_] = records(convert("argilla", predictions=[LINE]))
        assert record["suggestions"] == {"intent": {"value": "退款", "score": 0.9, "agent": "kdsl"}}
        assert record["metadata"]["label"] == "退款"
        assert record["metadata"]["kdsl_reason"] == "rule r-1 speaks"
        assert record["metadata"]["kdsl_rules"] == "r-1 r-2"

    def test_a_decision_left_to_a_person_has_no_label(self, convert):
        line = {**LINE, "label": None}
        [task, *_] = records(convert("label-studio", predictions=[line]))
        assert task["predictions"][0]["result"] == []
        [record, *_] = records(convert("jsonl", predictions=[line]))
        assert (record["predicted"], record["confidence"], record["runner_up"]) == (None, 0.9, "退款")
        [record, *_] = records(convert("argilla", predictions=[line]))
        assert record["suggestions"]["intent"]["agent"] == "label"

    @pytest.mark.parametrize("name", ["sharegpt", "doccano", "prodigy", "rasa", "mire"])
    def test_a_form_without_a_place_for_them_is_refused(self, convert, tmp_path, name):
        with pytest.raises(KdslError, match=f"--format {name} has no place for predictions; write jsonl, csv, xlsx, "):
            convert(name, predictions=[LINE])
        assert not list(tmp_path.glob("out*"))

    def test_predictions_of_another_file_are_an_error(self, convert):
        with pytest.raises(KdslError, match=r"predictions.jsonl: predicts none of the samples in .*in.jsonl"):
            convert("csv", predictions=[{"id": "x", "label": "退款"}])

    @pytest.mark.parametrize("label", ["退货", 3])
    def test_an_unknown_label_is_an_error_with_its_line(self, convert, label):
        with pytest.raises(
            KdslError, match=r"predictions.jsonl, line 1: sample '1': the label .* is none of the labels"
        ):
            convert("csv", predictions=[{**LINE, "label": label}])


class TestDatasetInfo:
    @pytest.mark.parametrize("name", ["sharegpt", "alpaca"])
    def test_llama_factory_finds_the_file(self, convert, tmp_path, name):
        (tmp_path / FILE).write_text(
            '{"other": {"file_name": "x.json"}, "out": {"file_name": "out.json", "split": "a"}}'
        )
        convert(name)
        found = json.loads((tmp_path / FILE).read_text("utf-8"))
        assert found["other"] == {"file_name": "x.json"}
        entry = found["out"]
        assert entry["file_name"] == "out.json" and entry["formatting"] == name and entry["split"] == "a"
        first = records(tmp_path / "out.json")[1]
        assert all(column in first for column in entry["columns"].values())
        assert entry["columns"]["images"] == "images"

    def test_without_images_there_is_no_column_of_them(self, convert, tmp_path):
        convert("sharegpt", SAMPLES[:1])
        assert "images" not in json.loads((tmp_path / FILE).read_text("utf-8"))["out"]["columns"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[]", "is no list of data sets"),
            ('{"out": {"file_name": "else.json"}}', "has a data set 'out' in another file already"),
            ("{", "not valid JSON"),
        ],
    )
    def test_a_file_that_cannot_get_an_entry_stays_and_nothing_is_written(self, convert, tmp_path, text, message):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(KdslError, match=message):
            convert("sharegpt")
        assert (tmp_path / FILE).read_text() == text
        assert not (tmp_path / "out.json").exists()


class TestChoosing:
    @pytest.mark.parametrize(
        ("output", "name"),
        [("a.csv", "csv"), ("a.XLSX", "xlsx"), ("a.parquet", "parquet"), ("a.jsonl", "jsonl"), ("nlu.yaml", "rasa")],
    )
    def test_by_the_ending(self, tmp_path, output, name):
        assert form_for(tmp_path / output, None).name == name

    @pytest.mark.parametrize("output", ["a.json", "a", "a.txt"])
    def test_an_ending_that_tells_nothing_is_an_error_with_all_formats(self, tmp_path, output):
        with pytest.raises(
            KdslError, match="its ending does not tell the format; give --format with one of jsonl, csv,"
        ):
            form_for(tmp_path / output, None)

    def test_a_table_is_called_what_it_is(self, tmp_path):
        with pytest.raises(KdslError, match=r"a.csv: ends like CSV, but --format is xlsx; call it a.xlsx"):
            form_for(tmp_path / "a.csv", "xlsx")
        with pytest.raises(KdslError, match="ends like Excel, but --format is openai"):
            form_for(tmp_path / "a.xlsx", "openai")
        assert form_for(tmp_path / "a.jsonl", "sharegpt").name == "sharegpt"


def test_a_label_that_the_task_does_not_have_is_an_error(convert, tmp_path):
    with pytest.raises(KdslError, match="line 1: the label '退货' is none of the labels of intent"):
        convert("csv", [replace(SAMPLES[0], label="退货")])
    assert not (tmp_path / "out.csv").exists()
