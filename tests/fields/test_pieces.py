"""The pieces of a field: turns with their sentences, OCR lines, captions, and the way back to the original."""

from hypothesis import given
from hypothesis import strategies as st

from kdsl.fields.pieces import pieces
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import SampleFields
from kdsl.sample import Sample, Turn
from kdsl.text import normalise


def of(*turns, field="user", ocr=(), caption=None):
    page = OcrPage("a.png", (9, 90), tuple(OcrLine(t, 1.0, (0, 9 * i, 9, 9 * i + 5)) for i, t in enumerate(ocr)))
    known = Sidecars({"a.png": page}, {} if caption is None else {"a.png": caption})
    sample = Sample("1", "t", tuple(Turn("user", text) for text in turns), ("a.png",))
    return list(pieces(SampleFields(sample, known).text(field)))


def texts(*turns, **more):
    return [piece.text for piece in of(*turns, **more)]


def test_a_turn_of_one_sentence_is_one_piece():
    assert texts("我要退款！") == ["我要退款!"]
    assert texts("我要退款") == ["我要退款"]


def test_a_turn_of_several_sentences_is_a_piece_and_each_sentence_too():
    assert texts("你好。我要退款！快点") == ["你好。我要退款!快点", "你好。", "我要退款!", "快点"]
    assert texts("Hi. I want it back; now?Yes!") == [
        "hi. i want it back; now?yes!",
        "hi.",
        "i want it back;",
        "now?",
        "yes!",
    ]


def test_a_line_break_ends_a_sentence_though_the_normalised_turn_has_none():
    assert texts("查订单\n退钱给我") == ["查订单退钱给我", "查订单", "退钱给我"]


def test_numbers_and_links_are_not_cut():
    assert texts("the bulb has 3.5 W") == ["the bulb has 3.5 w"]
    assert texts("看 https://a.example/b?x=1;y 这个") == ["看 https://a.example/b?x=1;y 这个"]
    assert texts("www.a.example/?q! 对吗?好的") == ["www.a.example/?q! 对吗?好的", "www.a.example/?q! 对吗?", "好的"]


def test_what_has_no_letter_is_no_sentence_of_its_own():
    assert texts("好的。123。？！") == ["好的。123。?!", "好的。"]


def test_lines_and_captions_are_whole_and_empty_ones_are_none():
    assert texts(field="ocr", ocr=("退款成功。请查收", "", "￥ 5")) == ["退款成功。请查收", "¥ 5"]
    assert texts(field="caption", caption="一张订单。有按钮。") == ["一张订单。有按钮。"]
    assert texts("", field="user") == []
    assert texts(field="ocr") == []


def test_a_place_is_the_turn_or_line_and_the_characters_of_the_original():
    turn, first, second = of("ok", "您好 。 ＬＥＤ 灯 ")[1:]
    assert turn.place[0].turn == 1
    segment, (start, end) = second.place
    assert (segment.turn, segment.text[start:end]) == (1, "ＬＥＤ 灯")
    assert first.place[1] == (0, 4)
    [line] = of(field="ocr", ocr=("实付 款",))
    assert (line.place[0].image, line.place[0].line, line.place[1]) == ("a.png", 0, (0, 4))


@given(st.lists(st.text("退款ＡaB1 .。！?？;；\n\u200b/:htps", max_size=30), max_size=3))
def test_every_piece_is_what_its_place_says(turns):
    for piece in of(*turns):
        segment, (start, end) = piece.place
        assert piece.text == normalise(segment.text[start:end]) != ""
        assert segment.text == turns[segment.turn]
