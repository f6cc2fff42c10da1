from hypothesis import given
from hypothesis import strategies as st

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
    table = FieldTable(samples, Sidecars())
    when = When(all=tuple(Condition.model_validate(each) for each in conditions))
    rule = Rule(id="r-0000", label="x", when=when)
    assert Finder(table, Columns.of(table)).rule(when.all).tolist() == Engine([rule]).matrix(table)[:, 0].tolist()
