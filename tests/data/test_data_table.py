"""What a table of samples may look like, and what is wrong with it in one sentence or one count."""

import pytest

from kdsl.data.containers import file_values
from kdsl.data.notes import Notes
from kdsl.errors import KdslError

LABELS = ["退款", "发票"]


@pytest.fixture
def read(tmp_path):
    """The objects of a table, and what was noted: {what: (how often, where first)}."""

    def read(text: str, name: str = "data.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        notes = Notes()
        found = [value.value for value in file_values(path, LABELS, notes=notes)]
        return found, {what: (noted.count, noted.first) for what, noted in notes.left_out.items()}

    return read


class TestWhatIsRead:
    @pytest.mark.parametrize(
        "text",
        [
            "text,label\na b,退款\n",
            "\ufeff text ,\u3000label\na b,退款\n\n , \n",
            "text;label\r\na b;退款\r\n",
            "sep=;\ntext;label\na b;退款\n",
            "text\tlabel\na b\t退款",
            'text, label\n"a b", "退款"\n',
            "text,label,,\na b,退款,,\n",
            "text,label\na b,退款,,\n",
        ],
    )
    def test_one_row_however_it_is_written(self, read, text):
        assert read(text) == ([{"text": "a b", "label": "退款"}], {})

    @pytest.mark.parametrize("name", ["data.csv", "data.txt", "data.tsv"])
    def test_a_single_column_may_hold_commas(self, read, name):
        assert read('text\nwell, yes\n"no, ""never"""\n', name)[0] == [{"text": "well, yes"}, {"text": 'no, "never"'}]

    def test_quotation_marks_that_quote_nothing_are_text(self, read):
        found, _ = read('text\tlabel\n"where is it\t退款\n5" screen\t发票\n"a" or "b"\t退款\n')
        assert [each["text"] for each in found] == ['"where is it', '5" screen', '"a" or "b"']

    def test_a_quotation_mark_behind_a_backslash_does_not_end_a_cell(self, read):
        assert read('text,label\n"say \\"hi, you\\"",退款\n')[0] == [{"text": 'say "hi, you"', "label": "退款"}]

    def test_numbers_and_spaces_of_cells_stay_as_they_are(self, read):
        assert read("id,text\n007, 1.0 \n")[0] == [{"id": "007", "text": " 1.0 "}]

    def test_empty_cells_are_none(self, read):
        assert read("id,text,label\n1,,退款\n2,x, \n")[0] == [
            {"id": "1", "text": None, "label": "退款"},
            {"id": "2", "text": "x", "label": None},
        ]

    def test_labels_may_be_columns(self, read):
        assert read("text,退款,发票\na,1,0\nb,0,1\n")[0][0] == {"text": "a", "退款": "1", "发票": "0"}


class TestWhatIsCounted:
    def test_rows_that_end_early(self, read):
        found, noted = read("id,text,label\n1,a\n2,b,退款\n3\n")
        assert found[0] == {"id": "1", "text": "a", "label": None} and len(found) == 3
        assert noted == {"rows with fewer cells than the header, whose last ones are taken for empty": (2, "line 2")}

    def test_column_names_that_are_repeated_where_files_were_joined(self, read):
        found, noted = read("text,label\na,退款\ntext,label\nb,发票\n")
        assert [each["text"] for each in found] == ["a", "b"]
        assert noted == {"rows that repeat the column names left out": (1, "line 3")}

    def test_the_index_of_a_data_frame(self, read):
        found, noted = read(",text,label\n0,a,退款\n1,b,发票\n")
        assert found == [{"text": "a", "label": "退款"}, {"text": "b", "label": "发票"}]
        assert noted == {"cells of a column without a name left out": (2, "line 2")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\n", "line 1: holds column names ('text', 'label'), and no row stands below them"),
        ("text,label,text\na,b,c\n", "line 1: columns 1 and 3 are both called 'text'; rename one of them"),
        (
            "text,label\na,退款\nb,c,发票\n",
            "line 3: has 3 cells, the header 2; put a cell that holds the delimiter in double quotes",
        ),
        ("text，label\na，退款\n", "line 1: 'text，label' holds a full-width comma, which parts no columns"),
        ("好,退款\n坏,发票\n谁,退款\n", "line 1: holds no column names, for '退款' stands below too; put a row"),
        ("好,退款\n坏,发票\n", "line 1: holds no column names, for '退款' stands below too"),
        (
            "text,label\n文本,标签\na,退款\n",
            "line 2: is a second row of column names ('文本', '标签'); keep one",
        ),
        (
            "客服对话,,\nid,text,label\n1,a,退款\n",
            "line 1: holds '客服对话' alone, and line 2 more cells; the first row must hold the names of the columns: "
            "delete what stands above them",
        ),
        (
            "info,,result,\nid,text,label,by\n1,a,退款,me\n",
            "line 1: column 4 has no name, but line 2 a cell in it; the names must stand in one row, the first",
        ),
        ('text,label\n"a",退款\n"b,发票\nc,发票\n', "line 3: not a row of a table (a quotation mark that opens in it"),
        ('text,label\n"a",退款\n"b" c,发票\n', "line 3: not a row of a table (text follows a closing quotation mark;"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_its_line(read, text, message):
    with pytest.raises(KdslError) as error:
        read(text)
    assert f"data.csv, {message}" in str(error.value) and "\n" not in str(error.value)


def test_a_bad_row_far_behind_the_sample_is_told_by_its_line(read):
    rows = "".join(f"text {number},退款\n" for number in range(3000))
    with pytest.raises(KdslError, match="line 3002: has 3 cells, the header 2"):
        read(f"text,label\n{rows}a,b,退款\n")
    with pytest.raises(KdslError, match="line 3002: not a row of a table"):
        read(f'text,label\n{rows}"a,b\n' + rows)
