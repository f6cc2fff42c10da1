"""Which columns are what, told by names and by values."""

import pytest

from kdsl.data.column_guess import guess_columns
from kdsl.data.columns import Columns

SAID = ["钱什么时候退到卡里", "一米七穿多大", "发票抬头怎么写", "多久能到账呢", "这件偏大吗", "电子发票发给我"]
LABELS = ["退款", "尺码", "发票"] * 2


def rows(**columns):
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize(
    ("text", "label", "image", "identity"),
    [
        ("咨询内容", "问题类型", "截图", "订单号"),
        ("customer_message", "ticketCategory", "screenshot_file", "ticket id"),
        ("Question", "TAG", "imgUrl", "uuid"),
        ("user.content", "meta.gold", "meta.photo", "meta.sku"),
    ],
)
def test_names_tell(text, label, image, identity):
    given = rows(
        **{
            identity: range(6),
            text: SAID,
            image: [f"a/{n}.png" for n in range(6)],
            label: LABELS,
            "日期": ["1月2日"] * 6,
        }
    )
    assert guess_columns(given) == Columns((text,), "", (image,), label, identity)


@pytest.mark.parametrize(
    "value",
    [
        "a/{n}.wav",
        "https://shop.example/{n}.m4a?sign=1",
        "data:audio/ogg;base64,T2dn{n}",
        ["{n}.amr", "{n}.mp3"],
        '["{n}.amr"]',
        {"path": "{n}.flac", "bytes": None},
        {"path": None, "bytes": b"OggS"},
        {"path": "{n}", "array": [0.0], "sampling_rate": 16_000},
    ],
)
def test_sounds_are_told_by_their_values_whatever_they_are_called(value):
    given = [{"c": text, "d": label, "e": value} for text, label in zip(SAID, LABELS, strict=True)]
    assert guess_columns(given) == Columns(("c",), "", (), "d", "", ("e",))


def test_images_and_sounds_are_told_apart():
    files = [{"picture": {"path": "a.png", "bytes": b"\x89PNG"}, "sound": {"path": "a.ogg", "bytes": b"x"}}] * 2
    assert guess_columns(files) == Columns(images=("picture",), audio=("sound",))


def test_where_names_say_nothing_values_tell():
    given = rows(a=range(6), b=[f"https://shop.example/{n}" for n in range(6)], c=SAID, d=LABELS)
    assert guess_columns(given) == Columns(("c",), "", (), "d", "")


def test_the_labels_of_the_task_tell_more_than_names():
    given = rows(text=SAID, label=["好", "坏"] * 3, 意图=LABELS)
    assert guess_columns(given).label == "label"
    assert guess_columns(given, {"退款", "尺码", "发票"}).label == "意图"


def test_a_few_other_labels_do_no_harm_many_do():
    given = rows(q=SAID, y=["退款", "退款", "退款", "别的", "另外", "什么"])
    assert guess_columns(given, {"退款", "尺码"}).label == "y"
    assert guess_columns(given[1:], {"退款", "尺码"}).label == ""


def test_answers_of_annotators_alone_are_labels():
    given = rows(text=SAID, category=LABELS, mood=["好", "坏"] * 3)
    assert guess_columns(given, answers=["mood"]).label == "mood"


@pytest.mark.parametrize("values", [["x" * 61, "y"] * 3, list("abcdef"), [1.5, 2.5] * 3])
def test_what_is_long_or_hardly_comes_again_is_no_label(values):
    assert guess_columns(rows(text=SAID, what=values)).label == ""


def test_numbers_are_labels_only_where_they_are_called_so():
    assert guess_columns(rows(text=SAID, stars=[1, 2] * 3)).label == ""
    assert guess_columns(rows(text=SAID, category=[1, 2] * 3)).label == "category"


def test_ids_that_come_again_are_none():
    assert guess_columns(rows(id=[1, 1, 2, 3, 4, 5], text=SAID)).id == ""


def test_several_texts_are_joined_but_for_remarks_of_annotators():
    given = rows(标题=SAID, 描述=SAID, comment=SAID)
    assert guess_columns(given).text == ("标题", "描述")
    assert guess_columns(rows(comment=SAID)).text == ("comment",)


def test_a_text_that_must_be_called_so():
    assert guess_columns(rows(z=SAID), by_name=True).text == ()
    assert guess_columns(rows(正文=SAID), by_name=True).text == ("正文",)


def test_what_is_taken_for_one_thing_is_not_taken_for_another():
    given = rows(content=LABELS, text=SAID)
    assert guess_columns(given, {"退款", "尺码", "发票"}) == Columns(("text",), "", (), "content", "")
    assert Columns(("a",), label="b").filled(Columns(("c",), "d", ("b",), "a", "e")) == Columns(
        ("a",), "", (), "b", "e"
    )
