"""What of a chat model's answer can be a rule: shape, labels, fields, lengths; everything else is counted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.rules.condition import Condition
from kdsl.sample import Label, Task
from kdsl.small.drafts import Confusion, Draft, read_drafts, request
from kdsl.vlm.conversation import Instruction, in_words

LABELS, FIELDS = ("调光", "材质"), ("user", "ocr")
GOOD = {"label": "调光", "all": [{"user": ["亮度", " 变 暗 "]}, {"not": {"ocr": ["物流"]}}], "why": "问\n灯光"}
DRAFT = Draft(
    "调光",
    (Condition(field="user", terms=("亮度", "变暗")), Condition(field="ocr", terms=("物流",), negated=True)),
    "问 灯光",
)


def read(answer) -> tuple[list[Draft], dict]:
    drafts, dropped = read_drafts(answer if isinstance(answer, str) else json.dumps(answer), LABELS, FIELDS)
    return drafts, dict(dropped)


@pytest.mark.parametrize(
    "answer",
    [
        [GOOD],
        GOOD,
        {"rules": [GOOD, GOOD]},
        f"好的，规则如下：\n```json\n{json.dumps([GOOD], ensure_ascii=False)}\n```",
        json.dumps([GOOD, {"label": "材质"}])[:-20],  # cut
    ],
)
def test_a_draft_is_found_wherever_it_stands_with_normal_terms_and_one_line_of_why(answer):
    assert read(answer)[0] == [DRAFT]


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        ("[{not json", "no JSON"),
        ("", "no JSON"),
        ({"label": "调光", "all": []}, "another shape"),
        ({"label": "调光", "when": [{"user": ["亮"]}]}, "another shape"),
        ({"label": ["调光"], "all": [{"user": ["亮"]}]}, "another shape"),
        ({**GOOD, "why": 3}, "another shape"),
        ({**GOOD, "all": [{"user": "亮度"}]}, "another shape"),
        ({**GOOD, "all": [{"user": [1]}]}, "another shape"),
        ({**GOOD, "all": [{"not": {"not": {"user": ["亮度"]}}}]}, "unknown field"),
        ({**GOOD, "all": [{"user": ["亮度"], "ocr": ["灯"]}]}, "another shape"),
        ({**GOOD, "label": "退货"}, "unknown label"),
        ({**GOOD, "all": [{"../../etc/passwd": ["root"]}]}, "unknown field"),
        ({**GOOD, "all": [{"regex": [".*"]}]}, "unknown field"),
        ({**GOOD, "all": [{"sees": "有灯吗？"}]}, "unknown field"),
        ({**GOOD, "all": [{"user": ["亮度"]}] * 5}, "too many conditions or terms"),
        ({**GOOD, "all": [{"user": [f"亮度{i}" for i in range(13)]}]}, "too many conditions or terms"),
        ({**GOOD, "all": [{"user": ["亮" * 31]}]}, "a term too long"),
        ({**GOOD, "all": [{"user": ["这个", "的", "？？", "\u200b"]}]}, "function words alone"),
        ({**GOOD, "all": [{"not": {"user": ["亮度"]}}]}, "only exceptions"),
    ],
)
def test_what_cannot_be_a_rule_is_dropped_with_the_reason(draft, why):
    assert read(draft) == ([], {why: 1})


def test_terms_of_grammar_alone_are_left_out_of_a_list_and_the_others_stay():
    [draft] = read({**GOOD, "all": [{"user": ["这个", "亮度", "亮度"]}]})[0]
    assert draft.conditions == (Condition(field="user", terms=("亮度",)),)


def test_a_term_of_thirty_characters_and_four_conditions_are_still_taken():
    long = {**GOOD, "all": [{"user": ["亮" * 30]}, {"user": ["灯"]}, {"user": ["暗"]}, {"ocr": ["灯"]}]}
    assert len(read(long)[0][0].conditions) == 4


@given(st.text(alphabet='{}[]":,user亮度notall调光label\\1 ', max_size=200))
def test_no_answer_is_too_odd(answer):
    drafts, dropped = read_drafts(answer, LABELS, FIELDS)
    assert drafts or dropped


def test_nesting_without_end_is_no_json():
    assert read('{"all":' * 5000)[1] == {"no JSON": 1}


def test_the_model_is_told_labels_confusions_samples_and_the_form():
    task = Task("shop", (Label("调光", "咨询灯光"), Label("材质")))
    asked = request(task, task.labels[0], FIELDS, [Confusion("材质", "调光", 3)], [("调光", "能变暗吗")])
    words = in_words(asked)
    for told in (
        "- 调光: 咨询灯光",
        "分类器把“材质”误判成“调光”：3 次。",
        "[调光] 能变暗吗",
        '{"label": "调光", "all"',
    ):
        assert told in words
    kept = [piece for piece in asked[0].pieces if isinstance(piece, Instruction)]
    assert not any("能变暗吗" in piece for piece in kept)  # of a prompt that is too long samples go, the request stays


def test_tasks_in_english_are_asked_in_english():
    task = Task("shop", (Label("dimming", "about light"), Label("fabric")))
    assert 'rules for the label "dimming"' in in_words(request(task, task.labels[0], ("user",), [], []))
