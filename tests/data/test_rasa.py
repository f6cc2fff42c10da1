"""Rasa's training data: every example with its intent and its line, without the marks of its entities."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.containers import file_values
from kdsl.data.notes import Notes
from kdsl.data.rasa import without_entities
from kdsl.errors import KdslError


@pytest.fixture
def read(tmp_path):
    """(line, text, intent) of the examples of a file, and how often what was left out."""

    def read(text: str, name: str = "nlu.yml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        notes = Notes()
        found = file_values(tmp_path / name, [], notes=notes)
        examples = [(value.place, value.value["text"], value.value["intent"]) for value in found]
        return examples, {what: noted.count for what, noted in notes.left_out.items()}

    return read


YAML = """\
version: "3.1"

nlu:
- intent: 退款
  examples: |
    - 钱退了吗
    - [明天](date)能到账吗

    - 退到[支付宝]{"entity": "account", "value": "alipay"}
- synonym: alipay
  examples: |
    - 支付宝
- lookup: city
  examples: |
    - 北京
- intent: faq/ask_hours  # a retrieval intent
  metadata: {sentiment: neutral}
  examples:
  - text: |
      when do you open
    metadata: {by: me}
  - text: 几点开门
stories:
- story: a
"""


@pytest.mark.parametrize("name", ["nlu.yml", "nlu.yaml", "data.txt"])
def test_every_example_comes_with_its_intent_and_line(read, name):
    assert read(YAML, name) == (
        [
            ("line 6", "钱退了吗", "退款"),
            ("line 7", "明天能到账吗", "退款"),
            ("line 9", "退到支付宝", "退款"),
            ("line 19", "when do you open", "faq/ask_hours"),
            ("line 22", "几点开门", "faq/ask_hours"),
        ],
        {"parts 'stories' left out": 1, "items 'synonym' left out": 1, "items 'lookup' left out": 1},
    )


def test_the_old_markdown_is_read_too(read):
    text = (
        "<!-- made\nby hand -->\n## intent:退款\n- 钱退了吗\n* 退到[支付宝](account:alipay)\nand so on\n\n"
        "## synonym:alipay\n- 支付宝\n## intent: faq/ask_hours\n- when\n"
    )
    assert read(text, "nlu.md") == (
        [("line 4", "钱退了吗", "退款"), ("line 5", "退到支付宝", "退款"), ("line 11", "when", "faq/ask_hours")],
        {"lines that are no example left out": 1, "items 'synonym' left out": 1},
    )


def test_the_old_json_is_read_too(read):
    examples = [{"text": "[a] b", "intent": "x", "entities": []}, {"text": "c", "intent": "y"}]
    data = {"rasa_nlu_data": {"common_examples": examples, "regex_features": [{"name": "zip", "pattern": "[0-9]"}]}}
    assert read(json.dumps(data), "nlu.json") == (
        [("common_examples, element 1", "[a] b", "x"), ("common_examples, element 2", "c", "y")],
        {"items 'regex_features' left out": 1},
    )


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("to [LA](city:Los Angeles)!", "to LA!"),
        ('[LA]{"entity": "city", "role": "to"} and [SF](city)', "LA and SF"),
        ('[LA][{"entity": "city"}, {"entity": "place"}]', "LA"),
        ("see [1] (above) and [] and [x]", "see [1] (above) and [] and [x]"),
    ],
)
def test_only_marks_of_entities_are_taken_away(marked, plain):
    assert without_entities(marked) == plain


@given(st.text(st.characters(exclude_characters="[]")))
def test_a_text_without_brackets_stays_as_it_is(text):
    assert without_entities(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nlu:\n- intent: a\n", "line 2: the intent 'a' has no `examples:`"),
        ("nlu:\n- intent: a\n  examples: |\n    - b\n    c\n", "line 5: an example begins with `- `, this is 'c'"),
        ("nlu:\n- intent: a\n  examples:\n  - txt: b\n", "line 4: an example is a text, or a mapping with `text:`"),
        ("nlu:\n- a\n", "line 2: 'a' is no `intent:` with `examples:`"),
        (
            "version: '3.1'\nrules: []\n",
            ": holds no list under `nlu:`, where Rasa keeps examples; of YAML files, only",
        ),
        ("nlu:\n- intent: a\n  examples: |\n  - b\n", "line 4: "),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(read, text, message):
    with pytest.raises(KdslError) as error:
        read(text)
    assert message in str(error.value) and "nlu.yml" in str(error.value) and "\n" not in str(error.value)
