"""Passages: from labels, accepted rules, Markdown and JSON Lines, and which of them fit a sample."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.retrieval.knowledge import LONGEST, Passage, _cut, label_passages, read_knowledge, rule_passages
from kdsl.retrieval.passage_index import PassageIndex
from kdsl.rules.rule import Rule
from kdsl.sample import Label, Sample, Task, Turn

MARKDOWN = """开头的话
# 台灯
亮度三档可调。

## 灯泡
```
# 不是标题
```
可以更换。
# 裤子 #
"""


def rule(id: str, status: str, *conditions: dict) -> Rule:
    return Rule.model_validate({"id": id, "label": "能否调光", "status": status, "when": {"all": conditions}})


def test_markdown_is_cut_at_its_headings(write, tmp_path):
    write("know/shop/灯.md", MARKDOWN)
    assert read_knowledge(tmp_path / "know") == [
        Passage("", "开头的话", "shop/灯.md, line 1"),
        Passage("台灯", "亮度三档可调。", "shop/灯.md, line 2"),
        Passage("台灯 > 灯泡", "```\n# 不是标题\n```\n可以更换。", "shop/灯.md, line 5"),
    ]


def test_json_lines_hold_texts_or_questions_and_answers(write, tmp_path):
    records = [
        {"text": "棉的"},
        {"title": "面料", "text": "麻的"},
        {"question": "褪色吗", "answer": "不褪色", "id": 3},
    ]
    write("know/faq.jsonl", "\n".join(json.dumps(record) for record in records))
    assert [(passage.whole, passage.source) for passage in read_knowledge(tmp_path / "know")] == [
        ("棉的", "faq.jsonl, line 1"),
        ("面料：麻的", "faq.jsonl, line 2"),
        ("褪色吗：不褪色", "faq.jsonl, line 3"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"title": "面料"}', "line 2: there is no text; expected"),
        ('{"text": 3}', "line 2: text is 3; expected"),
        ('{"text": " "}', "line 2: text is ' '; expected"),
        ('{"question": "褪色吗", "answer": null}', "line 2: answer is None; expected"),
        ('{"title": 1, "text": "a"}', "line 2: title is 1; expected"),
        ("[]", "line 2: .* is not a JSON object"),
        ("{", "line 2: not valid JSON"),
    ],
)
def test_a_line_of_another_shape_is_named(line, message, write, tmp_path):
    write("know/faq.jsonl", '{"text": "棉的"}\n' + line)
    with pytest.raises(KdslError, match=rf"faq\.jsonl, {message}"):
        read_knowledge(tmp_path / "know")


def test_a_missing_or_empty_folder_and_bytes_that_are_not_text_are_named(write, tmp_path):
    with pytest.raises(KdslError, match=r"know: no such folder; name the folder .* as data\.knowledge"):
        read_knowledge(tmp_path / "know")
    write("know/page.html", "<p>")
    with pytest.raises(KdslError, match="know: holds no knowledge; put Markdown"):
        read_knowledge(tmp_path / "know")
    (tmp_path / "know/a.md").write_bytes(b"\xff")
    with pytest.raises(KdslError, match=r"a\.md: byte 0 is not UTF-8"):
        read_knowledge(tmp_path / "know")


def test_a_link_to_nowhere_is_named(write, tmp_path):
    write("know/a.md", "# 台灯\n三档")
    (tmp_path / "know/b.md").symlink_to("gone.md")
    with pytest.raises(KdslError, match=r"b\.md: a link to a file that is not there"):
        read_knowledge(tmp_path / "know")


def test_files_of_other_kinds_are_counted(write, tmp_path, caplog):
    write("know/a.md", "台灯")
    write("know/b/page.html", "<p>")
    write("know/.hidden", "")
    with caplog.at_level(logging.WARNING):
        assert len(read_knowledge(tmp_path / "know")) == 1
    assert "1 files are neither Markdown nor JSON Lines and are left out, the first being b/page.html" in caplog.text


@given(st.text(alphabet="亮度 \n。", max_size=3 * LONGEST))
def test_long_sections_are_cut_and_lose_only_space(text: str):
    parts = list(_cut(text))
    assert all(0 < len(part) <= LONGEST for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_labels_with_a_description_and_accepted_rules_are_passages():
    task = Task("t", (Label("能否调光", "咨询亮度"), Label("气泡")))
    assert label_passages(task) == [Passage("能否调光", "咨询亮度", "label")]
    conditions = {"last_user": ["亮度", "调光"]}, {"not": {"ocr": ["手机"]}}
    rules = [rule("r-aaaa", "accepted", *conditions), rule("r-bbbb", "proposed", *conditions)]
    assert rule_passages(task, rules) == [
        Passage("", "如果用户最后的话有“亮度”或“调光”且并非图中文字有“手机”，就是“能否调光”。", "rule r-aaaa")
    ]
    english = Task("t", (Label("dimming"),))
    [passage] = rule_passages(english, rules[:1])
    assert passage.text.startswith("If the user's last message contains")


PASSAGES = [Passage("台灯", "亮度三档可调", "a"), Passage("裤子", "面料是纯棉", "b"), Passage("", "物流时效两天", "c")]
PAGE = OcrPage("a.png", (9, 9), (OcrLine("裤子面料说明", 1.0, (0, 0, 9, 9)),))
TABLE = FieldTable(
    [Sample("1", "t", (Turn("user", "亮度可调吗"),)), Sample("2", "t", (), ("a.png",)), Sample("3", "t")],
    Sidecars(ocr={"a.png": PAGE}),
)


def test_what_is_said_and_what_is_read_on_images_find_their_passages():
    index = PassageIndex.fit(PASSAGES, TABLE)
    assert [[passage.source for passage in index.best(row, 1)] for row in TABLE.rows] == [["a"], ["b"], []]
    assert index.best(TABLE.rows[0], 0) == []
    assert PassageIndex.fit([], TABLE).best(TABLE.rows[0], 3) == []


def test_a_saved_index_finds_the_same():
    index = PassageIndex.fit(PASSAGES, TABLE)
    loaded = PassageIndex.of_record(json.loads(json.dumps(index.record())), index.arrays())
    assert [loaded.best(row, 3) for row in TABLE.rows] == [index.best(row, 3) for row in TABLE.rows]


def test_a_link_that_leads_out_of_the_folder_is_refused(write, tmp_path):
    write("know/a.md", "# 台灯\n三档")
    write("secret.md", "# 密码\n123")
    (tmp_path / "know/b.md").symlink_to(tmp_path / "secret.md")
    with pytest.raises(KdslError, match=r"'b\.md' leads outside .*know"):
        read_knowledge(tmp_path / "know")


@pytest.mark.parametrize("name", ["._a.md", ".obsidian/a.md", ".ipynb_checkpoints/a-checkpoint.md", ".git/a.jsonl"])
def test_what_is_hidden_is_passed_over(write, tmp_path, name):
    write("know/a.md", "# 台灯\n三档")
    write(f"know/{name}", "\0")
    assert len(read_knowledge(tmp_path / "know")) == 1
