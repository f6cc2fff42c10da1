"""Any file of samples becomes the same values: what it is, is told from what stands in it, not from its name."""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.containers import file_values
from kdsl.data.notes import Notes
from kdsl.errors import KdslError

RECORDS = [
    {"id": "007", "text": '钱退了吗，"急"', "label": "退款"},
    {"id": "8", "text": "第一行\n第二行; a, b", "label": "发票"},
]
LABELS = ["退款", "发票"]


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """What a file that holds `content` gives; with `notes` also what was noted."""

    def values(content: bytes, name: str = "data", labels=LABELS, notes: Notes | None = None) -> list:
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content)
        return list(file_values(path, labels, notes=notes))

    return values


def as_csv(records, delimiter=",", encoding="utf-8", end="\r\n") -> bytes:
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter, lineterminator=end)
    writer.writerow(records[0])
    writer.writerows(record.values() for record in records)
    return table.getvalue().encode(encoding)


def as_workbook(records) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(list(records[0]))
    for record in records:
        book.active.append(list(record.values()))
    return saved(book)


def saved(book) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def as_zip(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, each in files.items():
            archive.writestr(name, each)
    return content.getvalue()


FORMS = {
    "JSON": json.dumps(RECORDS).encode(),
    "JSON Lines": "\n".join(map(json.dumps, RECORDS)).encode(),
    "CSV": as_csv(RECORDS),
    "TSV": as_csv(RECORDS, "\t"),
    "semicolons in UTF-16": as_csv(RECORDS, ";", "utf-16"),
    "pipes in GB 18030": as_csv(RECORDS, "|", "gb18030", "\n"),
    "a workbook": as_workbook(RECORDS),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["data.csv", "data.xlsx", "data.json", "data.jsonl", "data.txt", "data"])
def test_a_wrong_name_does_no_harm(values, form, name):
    assert [value.value for value in values(FORMS[form], name)] == RECORDS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: as_zip(**{"data.csv": data}),
        lambda data: as_zip(**{"images/a.png": b"", "folder/data.csv": data, "images/b.jpg": b""}),
    ],
)
def test_every_form_is_read_compressed_too(values, form, pack):
    assert [value.value for value in values(pack(FORMS[form]))] == RECORDS


def test_other_files_in_an_archive_are_told(values, caplog):
    values(as_zip(**{"data.csv": FORMS["CSV"], "a.png": b"", "README": b""}))
    assert "data.csv is read; 1 other files in it are not: README" in caplog.text


def test_places_are_lines_and_sheet_rows(values):
    assert [(value.place, value.number) for value in values(FORMS["CSV"])] == [("line 2", "2"), ("line 3", "3")]
    content = as_csv([*reversed(RECORDS)])
    assert [(value.place, value.number) for value in values(content)] == [("line 2", "2"), ("line 4", "4")]
    assert [(value.place, value.number) for value in values(FORMS["a workbook"])] == [
        ("sheet 'Sheet', row 2", "2"),
        ("sheet 'Sheet', row 3", "3"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html><table><tr><td>text</td></tr></table></html>", "is a web page or XML; save it as a workbook"),
        (b'<?xml version="1.0"?><Workbook>', "is a web page or XML; save it as a workbook"),
        (b"%PDF-1.4", "is a PDF file; give a file of samples"),
        (bytes(range(256)) * 4, "is no text, for it holds zero bytes; give a file of samples"),
        (FORMS["a workbook"][:1000], r"cannot be unpacked \(.+\); make the archive again"),
        (gzip.compress(FORMS["CSV"], mtime=0)[:40], r"cannot be unpacked \(.+\); make the archive again"),
        (FORMS["CSV"][:-15], "line 3: not a row of a table"),
        (b"hello", "line 1: not valid JSON"),
    ],
)
def test_what_is_no_file_of_samples_is_one_sentence(values, content, message):
    with pytest.raises(KdslError, match=f"data(, |: ){message}") as error:
        values(content)
    assert "\n" not in str(error.value)


cells = st.text(
    st.sampled_from(",;\t|\"'\n 退款発票é😀a1=")
    | st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"),
    max_size=12,
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=6)
)


@given(tables, st.sampled_from(",;\t|"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030-marked"]))
def test_any_cells_come_back_in_whatever_encoding_and_delimiter(values, table, delimiter, codec):
    names = [f"column {number}" for number in range(len(table[0]))]
    # The first row is none of column names, which a text may be too.
    records = [dict(zip(names, row, strict=True)) for row in [["-"] * len(names), *table]]
    if codec == "gb18030-marked":
        content = "\ufeff".encode("gb18030") + as_csv(records, delimiter, "gb18030")
    else:
        content = as_csv(records, delimiter, codec)
    expected = [
        {name: cell if cell.strip() else None for name, cell in record.items()}
        for record in records
        if any(cell.strip() for cell in record.values())
    ]
    assert [value.value for value in values(content, "data.csv")] == expected


@given(st.binary(max_size=80) | st.text(st.sampled_from('a,;\t\n"退 {[<'), max_size=40).map(str.encode))
def test_any_bytes_are_values_or_one_sentence(values, content):
    try:
        values(content, "any.csv")
    except KdslError as error:
        assert "any.csv" in str(error) and "\n" not in str(error)


def test_a_million_rows_need_no_more_memory_than_a_thousand(tmp_path):
    import tracemalloc

    path = tmp_path / "long.csv"

    def peak(rows: int) -> int:
        with path.open("w", encoding="utf-8") as file:
            file.write("id,text,label\n")
            file.writelines(f"{number},退款什么时候到,退款\n" for number in range(rows))
        tracemalloc.start()
        assert sum(1 for _ in file_values(path, LABELS)) == rows
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(60_000) < peak(30_000) + (1 << 20)


SAID = {
    "gb18030": ("退款", ["我的钱什么时候能退", "订单已经取消了，为什么还没到账？", "请问可以开发票吗"]),
    "big5hkscs": ("發票", ["請問什麼時候可以退款", "訂單已經取消了，為什麼還沒到帳？", "這件商品有沒有保固"]),
    "cp932": ("返金", ["注文した商品がまだ届きません", "お金を返してください。", "領収書を発行してもらえますか"]),
    "euc_jp": ("返金", ["注文した商品がまだ届きません", "お金を返してください。", "領収書を発行してもらえますか"]),
    "cp949": ("환불", ["주문한 상품이 아직 안 왔어요", "환불은 언제 되나요?", "영수증을 발급해 주세요"]),
}


@pytest.mark.parametrize("codec", SAID)
@given(data=st.data())
def test_a_table_in_an_old_encoding_is_read_with_its_labels_and_without(values, codec, data):
    label, texts = SAID[codec]
    around = st.text(st.sampled_from(',;\t"\n 019ab'), max_size=5)
    said = st.builds(lambda before, text, after: before + text + after, around, st.sampled_from(texts), around)
    rows = data.draw(st.lists(said, min_size=2, max_size=8))
    records = [{"text": text, "label": label} for text in rows]
    content = as_csv(records, data.draw(st.sampled_from(",;\t|")), codec)
    for labels in ([label], []):
        assert [value.value for value in values(content, labels=labels)] == records
