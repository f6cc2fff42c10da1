"""Workbooks as people keep them: dates, numbers, formulas, merged cells, several sheets, passwords, damage."""

import datetime
import io
import re
import struct
import zipfile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.data.containers import file_values
from kdsl.data.notes import Notes
from kdsl.errors import KdslError


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The objects of a workbook, given as such or as bytes, and what was noted: {what: (how often, where first)}."""

    def read(book):
        path = tmp_path_factory.getbasetemp() / "book.xlsx"
        path.write_bytes(book if isinstance(book, bytes) else saved(book))
        notes = Notes()
        found = [value.value for value in file_values(path, [], notes=notes)]
        return found, {what: (noted.count, noted.first) for what, noted in notes.left_out.items()}

    return read


def book_of(*rows) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def saved(book) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def test_cells_are_text_as_one_sees_it(read):
    cells = {
        "007": "007", 7: "7", 1.5: "1.5", True: "TRUE", datetime.date(2024, 3, 5): "2024-03-05",
        datetime.datetime(2024, 3, 5, 6, 7): "2024-03-05 06:07:00", datetime.time(6, 7): "06:07:00",
        " 退款\n": " 退款\n", None: None,
    }  # fmt: skip
    names = [f"column {number}" for number in range(len(cells))]
    assert read(book_of(names, list(cells))) == ([dict(zip(names, cells.values(), strict=True))], {})


def test_empty_rows_and_columns_are_passed_over_and_rows_keep_their_numbers(tmp_path):
    book = openpyxl.Workbook()
    for at, cell in {"C3": "text", "D3": "label", "C6": "钱退了吗", "D6": "退款"}.items():
        book.active[at] = cell
    (tmp_path / "book.xlsx").write_bytes(saved(book))
    [value] = file_values(tmp_path / "book.xlsx", [])
    assert value == ("sheet 'Sheet', row 6", "6", {"text": "钱退了吗", "label": "退款"})


def test_a_cell_merged_over_rows_stands_in_each_of_them(read):
    book = book_of(["text", "label"], ["a", "退款"], ["b", None], ["c", None], ["d", "发票"])
    book.active.merge_cells("B2:B4")
    found, noted = read(book)
    assert [each["label"] for each in found] == ["退款", "退款", "退款", "发票"]
    assert noted == {
        "cells filled with the value of the cell above that they are merged with": (2, "sheet 'Sheet', row 3")
    }


def test_a_cell_merged_over_columns_stands_in_the_first(read):
    book = book_of(["text", "label"], ["a", None])
    book.active.merge_cells("A2:B2")
    assert read(book)[0] == [{"text": "a", "label": None}]


def test_errors_and_formulas_that_nobody_computed_are_counted(read):
    found, noted = read(book_of(["text", "label"], ["a", "#N/A"], ["b", "=A2"], ["c", "#REF!"]))
    assert [each["label"] for each in found] == [None, None, None]
    assert noted == {
        "cells with an error such as #N/A taken for empty": (2, "sheet 'Sheet', cell B2"),
        "formulas without a value taken for empty (a spreadsheet program computes them when it saves)": (
            1,
            "sheet 'Sheet', cell B3",
        ),
    }


def test_a_formula_that_was_computed_is_its_value(read):
    content = io.BytesIO(saved(book_of(["text", "label"], ["a", "=A2"])))
    changed = io.BytesIO()
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            data = re.sub(rb'<c r="B2"[^>]*>(<f>A2</f>)<v\s*/?>(</v>)?', rb'<c r="B2" t="str">\1<v>a</v>', data)
            new.writestr(name, data)
    assert read(changed.getvalue()) == ([{"text": "a", "label": "a"}], {})


class TestSheets:
    def test_the_first_that_holds_anything_is_read_and_others_are_noted(self, read):
        book = openpyxl.Workbook()
        for name in ("数据", "other", "third"):
            book.create_sheet(name).append(["text"])
            book[name].append([name])
        assert read(book) == (
            [{"text": "数据"}],
            {"other sheets than '数据' left out (to read one, move it to the front)": (2, "sheet 'other'")},
        )

    def test_a_hidden_one_is_read_only_where_it_is_the_only_one(self, read):
        book = book_of(["text"], ["a"])
        book.create_sheet("shown", 1).append(["text"])
        book["shown"].append(["b"])
        book["Sheet"].sheet_state = "hidden"
        assert read(book)[0] == [{"text": "b"}]
        book.remove(book["shown"])
        book.create_sheet("empty")
        assert read(book)[0] == [{"text": "a"}]

    def test_a_workbook_without_cells_gives_nothing(self, read):
        assert read(openpyxl.Workbook()) == ([], {})


OPEN_DOCUMENT = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><office:body><office:spreadsheet>'
    '<table:table table:name="表">%s</table:table></office:spreadsheet></office:body></office:document-content>'
)

OPEN_CELL = '<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell>'
MANIFEST = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'


def open_document(*rows) -> bytes:
    cells = "".join(
        "<table:table-row>"
        + "".join(OPEN_CELL % cell for cell in row)
        + "</table:table-row>"
        for row in rows
    )  # fmt: skip
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr("content.xml", OPEN_DOCUMENT % cells)
    return content.getvalue()


def test_a_sheet_of_libreoffice_is_read_too(read):
    assert read(open_document(["text", "label"], ["a", "退款"])) == ([{"text": "a", "label": "退款"}], {})


def compound(stream: str, content: bytes) -> bytes:
    """The compound file in which old Excel keeps a workbook: a header, its sectors, a directory, one stream."""
    free, end, fat = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    content = content.ljust(4096, b"\0")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0, 0)
    header += struct.pack("<108I", *[free] * 108)
    sectors = struct.pack("<128I", fat, end, *range(3, 10), end, *[free] * 118)

    def entry(name: str, kind: int, child: int, first: int, size: int) -> bytes:
        encoded = (name + "\0").encode("utf-16-le")
        return (
            encoded.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(encoded), kind, 1, free, free, child)
            + bytes(36)
            + struct.pack("<IQ", first, size)
        )

    directory = entry("Root Entry", 5, 1, end, 0) + entry(stream, 2, free, 2, len(content)) + bytes(256)
    return header + sectors + directory + content


def old_workbook(cells: dict[tuple[int, int], str | float]) -> bytes:
    """An .xls file (BIFF8) of one sheet with texts and numbers at (row, column), both from 0."""

    def record(kind: int, content: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(content)) + content

    def begin(kind: int) -> bytes:
        return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 0, 0, 0))

    sheet = begin(0x0010)
    for (row, column), cell in cells.items():
        place = struct.pack("<HHH", row, column, 0)
        if isinstance(cell, str):
            sheet += record(0x0204, place + struct.pack("<HB", len(cell), 1) + cell.encode("utf-16-le"))
        else:
            sheet += record(0x0203, place + struct.pack("<d", cell))
    name = "表".encode("utf-16-le")
    at = len(begin(0x0005)) + len(record(0x0085, bytes(8) + name)) + len(record(0x000A))
    names = record(0x0085, struct.pack("<IBBBB", at, 0, 0, 1, 1) + name)
    return compound("Workbook", begin(0x0005) + names + record(0x000A) + sheet + record(0x000A))


class TestOldExcel:
    def test_it_is_read_too(self, read):
        cells = {(0, 0): "text", (0, 1): "label", (2, 0): "钱退了吗", (2, 1): 7.0}
        assert read(old_workbook(cells)) == ([{"text": "钱退了吗", "label": "7"}], {})

    def test_damage_that_would_end_the_process_is_one_sentence(self, read, capfd):
        with pytest.raises(
            KdslError, match=r"book\.xlsx: not a workbook that can be read \(it is damaged\); open it in"
        ):
            read(old_workbook({(0, 0): "text", (65535, 65535): "far out"}))
        assert capfd.readouterr().err == ""

    def test_a_compound_file_of_another_kind_is_told(self, read):
        with pytest.raises(
            KdslError, match=r"book\.xlsx: not a workbook that can be read \(Cannot detect file format\)"
        ):
            read(compound("WordDocument", b"x" * 5000))


def encrypted() -> bytes:
    """As which Excel keeps a workbook with a password."""
    return compound("EncryptedPackage", b"x" * 4096)


class TestWhatIsRefused:
    def test_a_password(self, read):
        with pytest.raises(
            KdslError, match=r"book\.xlsx: is protected by a password; save it without one, or save its"
        ):
            read(encrypted())

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (
                [["text", "label"]],
                "sheet 'Sheet', row 1: holds column names ('text', 'label'), and no row stands below",
            ),
            ([["text", "text"], ["a", "b"]], "sheet 'Sheet', row 1: columns 1 and 2 are both called 'text'"),
            ([["2024年", None], ["text", "label"], ["a", "b"]], "sheet 'Sheet', row 1: holds '2024年' alone, and"),
            ([["text", None, "label"], ["a", "b", "c"]], "sheet 'Sheet', row 1: column 2 has no name, but"),
        ],
    )
    def test_a_header_that_is_none(self, read, rows, message):
        with pytest.raises(KdslError) as error:
            read(book_of(*rows))
        assert message in str(error.value)

    def test_column_names_merged_over_rows(self, read):
        book = book_of(["text", "label"], [None, "of whom"], ["a", "b"])
        book.active.merge_cells("A1:A2")
        with pytest.raises(
            KdslError, match="row 1: a cell is merged down to row 2; the column names must stand in one"
        ):
            read(book)

    def test_a_cell_far_out_that_would_fill_the_memory(self, read):
        book = book_of(["text"], ["a"])
        book.active["XFD1048576"] = "stray"
        with pytest.raises(
            KdslError, match="sheet 'Sheet': its cells reach to row 1,048,576 and column 16,384, more than"
        ):
            read(book)

    def test_but_not_one_that_is_only_coloured(self, read):
        book = book_of(["text"], ["a"])
        book.active["XFD1048576"].fill = openpyxl.styles.PatternFill("solid", "FFFF00")
        assert read(book)[0] == [{"text": "a"}]

    def test_more_than_its_size_allows(self, read, monkeypatch):
        monkeypatch.setattr("kdsl.data.unpacking._ALWAYS", 10_000)
        with pytest.raises(
            KdslError, match="becomes more than 100 times larger when it is unpacked; save its table as"
        ):
            read(book_of(["text"], *[["a" * 1000]] * 3000))

    @given(st.data())
    @settings(max_examples=60)
    def test_damage_is_values_or_one_sentence(self, read, data):
        content = bytearray(data.draw(st.sampled_from([SMALL, encrypted(), open_document(["text"], ["a"])])))
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        try:
            read(bytes(content[: data.draw(st.integers(1, len(content)))]))
        except KdslError as error:
            assert "book.xlsx" in str(error) and "\n" not in str(error)


SMALL = saved(book_of(["text", "label"], ["a", "退款"]))
