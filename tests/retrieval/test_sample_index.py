"""Nearest samples: the most alike first, and never the sample itself, a copy of it or a near-duplicate."""

import json
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.retrieval.content import Content, hash_number
from kdsl.retrieval.sample_index import SampleIndex
from kdsl.sample import Sample, Turn

LAMPS = ["这个灯能调光吗", "台灯的亮度可以调吗", "灯光太亮了能不能调暗一点", "有没有能调亮度的台灯"]
CLOTH = ["这条裤子是什么材质", "面料是纯棉的还是化纤的", "裤子的面料怎么样"]


def said(id: str, text: str, copy_of: str | None = None) -> Sample:
    return Sample(id, "t", (Turn("user", text),), copy_of=copy_of)


def table(*samples: Sample, **pages: str) -> FieldTable:
    """`pages`: image name without its ending → the one line that is read on it."""
    ocr = {f"{n}.png": OcrPage(f"{n}.png", (9, 9), (OcrLine(t, 1.0, (0, 0, 9, 9)),)) for n, t in pages.items()}
    return FieldTable(samples, Sidecars(ocr=ocr))


TRAIN = table(*(said(str(i), text) for i, text in enumerate(LAMPS + CLOTH)))
INDEX = SampleIndex.fit(TRAIN)


def test_the_most_alike_come_first():
    found = INDEX.nearest(table(said("new", "台灯亮度可以调吗？")), 3)
    assert set(found.rows[0]) <= {0, 1, 2, 3}
    assert (np.diff(found.similarities[0]) <= 0).all()


def test_no_sample_finds_itself():
    found = INDEX.nearest_to_each_other(6)
    assert all(row not in found.rows[row] for row in range(len(TRAIN)))
    assert (INDEX.nearest(TRAIN, 6).rows == found.rows).all()


def test_neither_the_source_nor_other_copies_of_a_copy_are_found():
    copies = [said(f"copy{number}", f"请问一下{LAMPS[0]}呢{number}", "0") for number in (1, 2)]
    rows = table(*(row.sample for row in TRAIN.rows), *copies)
    index = SampleIndex.fit(rows)
    among = index.nearest_to_each_other(9)
    for row in (0, 7, 8):
        for found in (index.nearest(rows.select([row]), 9).rows[0], among.rows[row]):
            assert not {0, 7, 8} & set(found.tolist())
            assert (found >= 0).any()


def test_an_id_tells_nothing_about_another_file_s_samples():
    found = INDEX.nearest(table(said("0", f"请问一下{LAMPS[0]}呢"), said("0+1", f"请问一下{LAMPS[0]}呢")), 3)
    assert found.rows[:, 0].tolist() == [0, 0]


def test_a_near_duplicate_with_another_id_is_not_found():
    long = "你好我想问一下这个台灯的亮度可以调节吗我晚上看书的时候用"
    index = SampleIndex.fit(table(*(row.sample for row in TRAIN.rows), said("twin", long)))
    assert 7 not in index.nearest(table(said("new", long + "。")), 8).rows[0]
    assert 7 in index.nearest(table(said("new", "台灯晚上看书用，亮度可以调节吗")), 8).rows[0]


def test_pictures_without_words_are_told_by_file_text_or_looks():
    shop = Sample("1", "t", (), ("a.png",))
    read = {"a": "订单详情 交易成功 申请售后 再买一单", "b": "订单详情 交易成功 申请售后 再买一单 ", "c": "物流信息"}
    [first, twin, other] = [
        Content.of(table(replace(shop, id=name, images=(f"{name}.png",)), **read).rows[0]) for name in "abc"
    ]
    assert first.same(twin)
    assert not first.same(other)
    assert first.same(replace(other, files=("a.png",)))
    bits = np.random.default_rng(0).random(256) < 0.5
    near, far = bits.copy(), bits.copy()
    near[:12] = ~near[:12]
    far[:13] = ~far[:13]
    looks = [replace(other, id=str(i), files=(f"{i}.png",), page="", hashes=(hash_number(b),)) for i, b in
             enumerate((bits, near, far))]  # fmt: skip
    assert looks[0].same(looks[1])
    assert not looks[0].same(looks[2])
    assert not replace(looks[0], hashes=()).same(looks[1])


def test_words_decide_where_there_are_any():
    question = replace(said("1", "什么时候发货"), images=("a.png",))
    other = replace(said("2", "怎么申请退款呢"), images=("a.png",))
    assert not Content.of(table(question).rows[0]).same(Content.of(table(other).rows[0]))


def test_nothing_is_found_where_nothing_is_alike():
    found = INDEX.nearest(table(said("new", "zzz"), Sample("empty", "t")), 3)
    assert found.rows.tolist() == [[-1] * 3] * 2
    assert found.similarities.tolist() == [[0.0] * 3] * 2
    assert INDEX.nearest(table(), 3).rows.shape == (0, 3)


texts = st.text(alphabet="台灯亮度调光面料材质吗的 ", max_size=12)


@given(st.lists(texts, min_size=2, max_size=8), st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_whatever_the_samples_none_finds_one_with_its_source_or_its_words(said_texts: list[str], sources: list[int]):
    pairs = list(zip(sources, said_texts, strict=False))
    rows = table(*(said(str(number), text, f"{source} of them") for number, (source, text) in enumerate(pairs)))
    index = SampleIndex.fit(rows)
    found = index.nearest(rows, len(pairs))
    for asked, neighbours in enumerate(found.rows):
        for row in neighbours[neighbours >= 0]:
            mine, its = index.contents[asked], index.contents[row]
            assert mine.copy_of != its.copy_of
            assert mine.words != its.words
    assert (found.similarities[found.rows >= 0] > 0).all()


def test_a_saved_index_finds_the_same():
    record = json.loads(json.dumps(INDEX.record()))
    loaded = SampleIndex.of_record(record, INDEX.arrays())
    asked = table(said("new", "台灯亮度可以调吗"), said("0", LAMPS[0]))
    assert (loaded.nearest(asked, 4).rows == INDEX.nearest(asked, 4).rows).all()
    assert (loaded.nearest(asked, 4).similarities == INDEX.nearest(asked, 4).similarities).all()


def test_however_many_copies_are_left_out_those_behind_them_are_found():
    copies = [said(f"copy{number}", f"请问一下{LAMPS[0]}呢{number}", "0") for number in range(60)]
    rows = table(*copies, *(row.sample for row in TRAIN.rows))
    found = SampleIndex.fit(rows).nearest_to_each_other(3).rows[60]
    assert {61, 62, 63} == set(found.tolist())


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_nearest_are_the_first_of_all_in_order_of_similarity(seed: int, k: int):
    directions = np.random.default_rng(seed).integers(0, 3, (100, 2)) + 0.0  # of which many are the same
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    words = np.random.default_rng(seed).integers(0x4E00, 0x9FFF, (101, 6))
    rows = table(*(said(str(number), "".join(map(chr, each))) for number, each in enumerate(words)))
    index = SampleIndex.fit(rows.select(range(100)), vectors=directions)
    found = index.nearest(rows.select([100]), k, vectors=np.array([[1.0, 0.0]]))
    cosines = index.vectors[:, 0]
    order = [row for row in np.argsort(-cosines, kind="stable").tolist() if cosines[row] > 0][:k]
    assert found.rows[0, : len(order)].tolist() == order
    assert found.similarities[0, : len(order)].tolist() == cosines[order].tolist()
