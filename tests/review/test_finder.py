import pytest
from concept_encoder import concept_vectors
from hypothesis import given
from hypothesis import strategies as st
from rule_files import TASK
from seeing_shop import COLOUR, KIND, LARGE, open_seeing_shop, with_encoder

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.review.finder import Columns, Finder
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Turn
from kdsl.text import normalise

TEXT = st.text(st.sampled_from("age 5G亮度Ａ，\n。é调"), max_size=12)
TERM = TEXT.filter(lambda text: normalise(text) != "")
CONDITION = st.one_of(
    st.builds(lambda field, terms: {field: terms}, st.sampled_from(["user", "last_user", "dialogue", "ocr"]),
              st.lists(TERM, min_size=1, max_size=3)),
    st.builds(lambda op, n: {"turns": f"{op}{n}"}, st.sampled_from([">", "<=", "="]), st.integers(0, 3)),
    st.builds(lambda op: {"image.aspect": f"{op}1"}, st.sampled_from([">", "<="])),
    st.just({"sees": "有路径吗？"}),
)  # fmt: skip
CONDITIONS = st.lists(st.one_of(CONDITION, CONDITION.map(lambda each: {"not": each})), min_size=1, max_size=3)


@given(st.lists(st.lists(TEXT, max_size=3), max_size=6), CONDITIONS)
def test_what_the_finder_finds_is_what_the_engine_decides(dialogues, conditions):
    samples = [
        Sample(str(i), "t", tuple(Turn("agent" if k % 2 else "user", text) for k, text in enumerate(turns)))
        for i, turns in enumerate(dialogues)
    ]
    assert_same(FieldTable(samples, Sidecars()), conditions)


def assert_same(table: FieldTable, conditions: list[dict]) -> list[bool]:
    """What both find."""
    when = When(all=tuple(Condition.model_validate(each) for each in conditions))
    found = Finder(Columns.of(table), table).rule(when.all).tolist()
    assert found == Engine([Rule(id="r-0000", label="x", when=when)]).matrix(table)[:, 0].tolist()
    return found


def means(field: str, at: float, *wordings: str, **known: str) -> dict:
    return {"means": {field: list(wordings), "at": at, **known}}


ON_MEANING = [
    ([means("user", 0.6, "退钱")], [1, 1, 1, 0, 0, 0, 0]),
    ([means("user", 0.8, "退钱")], [1, 1, 0, 0, 0, 0, 0]),
    ([means("user", 1.0, "退钱给我")], [1, 1, 0, 0, 0, 0, 0]),
    ([means("user", 0.8, "退钱", "快递")], [1, 1, 0, 1, 0, 0, 0]),
    ([means("ocr", 0.9, "退钱")], [0, 0, 0, 0, 0, 1, 0]),
    ([means("user", 0.6, "退钱"), {"not": means("user", 0.6, "快递")}], [1, 1, 0, 0, 0, 0, 0]),
    ([{"not": means("user", 0.6, "退钱")}], [0, 0, 0, 1, 1, 1, 1]),
    ([means("user", 0.6, "退钱", encoder="concepts")], [1, 1, 1, 0, 0, 0, 0]),
    ([means("user", 0.6, "退钱", encoder="bge-m3")], [0] * 7),
    ([{"not": means("user", 0.6, "退钱", encoder="bge-m3")}], [0] * 7),
]


@pytest.mark.parametrize(("conditions", "expected"), ON_MEANING)
def test_meanings_are_found_as_the_engine_decides_them(tmp_path, conditions, expected):
    table = with_encoder(tmp_path).site.indexes[TASK].table
    assert assert_same(table, conditions) == list(map(bool, expected))


@pytest.mark.parametrize(("conditions", "_"), ON_MEANING)
def test_without_an_encoder_no_meaning_holds_nor_its_negation(tmp_path, conditions, _):
    table = open_seeing_shop(tmp_path).site.indexes[TASK].table
    assert not any(assert_same(table, conditions))


@pytest.mark.parametrize(
    ("condition", "hits"),
    [
        (COLOUR, [5]),
        ({"image.colour": {"zone": "page", "colour": "blue", "share": ">0.1"}}, [6]),
        ({"image.colour": {"zone": "body", "colour": "white", "share": "=1"}}, [5, 6]),
        (KIND, [5, 6]),
        ({"image.kind": "photo"}, []),
        (LARGE, [5]),
        ({"ocr.size": {"terms": ["退款"], "height": ">0.1"}}, []),
        ({"ocr.size": {"terms": ["成功", "x"], "height": "<=0.1"}}, [5]),
        ({"image.text_lines": "=1"}, [5]),
        ({"image.text_area": ">0.07"}, [5]),
        ({"ocr.body": ["退款"]}, [5]),
    ],
)  # fmt: skip
def test_what_is_seen_is_found_as_the_engine_decides_it(tmp_path, condition, hits):
    table = open_seeing_shop(tmp_path).site.indexes[TASK].table
    assert [i for i, found in enumerate(assert_same(table, [condition])) if found] == hits
    assert [i for i, found in enumerate(assert_same(table, [{"not": condition}])) if not found] == hits


def test_a_threshold_moves_without_anything_being_encoded_again(tmp_path):
    vectors = concept_vectors()
    table = open_seeing_shop(tmp_path, vectors=vectors).site.indexes[TASK].table
    finder = Finder(Columns.of(table), table)
    known = []
    for at in (0.3, 0.72, 0.9):
        [condition] = [Condition.model_validate(means("user", at, "退钱"))]
        assert finder.rule([condition]).sum() == (3 if at == 0.3 else 2)
        known.append(finder.similarities(condition.meaning).tolist())
    assert known[0] == known[1] == known[2] and known[0][5:] == [-1, -1]
    assert len(vectors.encoder.encoded) == len(set(vectors.encoder.encoded))
