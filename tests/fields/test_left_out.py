"""What `fields:` leaves out is empty for everything that looks at a sample."""

import numpy as np
import pytest

from kdsl.config_parts import FieldsConfig
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields import FIELDS
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.mining.vocabulary import build_vocabulary
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Turn
from kdsl.small.examples import shown_sample

TURNS = (
    Turn("agent", "您好"),
    Turn("user", "能退吗", ("a.png",)),
    Turn("agent", "可以"),
    Turn("agent", "请看图", ("b.png",)),
)
SAMPLE = Sample("1", "t", TURNS, ("a.png", "b.png"))
PAGES = {name: OcrPage(name, (100, 100), (OcrLine(name, 1.0, (0, 0, 9, 9)),)) for name in ("a.png", "b.png")}


class Lengths:
    """An encoder whose vectors tell texts apart."""

    name = identity = "lengths"
    lacks = ""
    size = 2

    def encode(self, texts):
        return np.array([[1.0, len(text)] for text in texts], dtype=np.float32)


def sidecars(*left_out: str) -> Sidecars:
    return Sidecars(
        PAGES,
        {"b.png": "一张图"},
        {"b.png": {"有图吗？": 0.9}},
        SentenceVectors(Lengths()),
        left_out=frozenset(left_out),
    )


def row(*left_out: str) -> SampleFields:
    return SampleFields(SAMPLE, sidecars(*left_out))


def test_without_the_answer_nothing_of_it_is_seen():
    seen = row("last_agent")
    assert seen.text("last_agent").text == ""
    assert seen.text("agent").text == "您好"
    assert seen.text("dialogue").text == "您好\n能退吗"
    assert seen.text("ocr").text == "a.png"
    assert seen.text("caption").text == ""
    assert (seen.number("turns"), seen.number("image.count")) == (2.0, 1.0)
    assert seen.answer("有图吗？") is None and seen.questions == frozenset()
    assert seen.cleaned.text("dialogue").text == "您好\n能退吗"


def test_by_default_the_answer_is_seen():
    seen = row()
    assert seen.text("last_agent").text == "请看图"
    assert seen.text("dialogue").text == "您好\n能退吗\n可以\n请看图"
    assert (seen.number("turns"), seen.number("image.count"), seen.answer("有图吗？")) == (4.0, 2.0, 0.9)
    assert seen.shown is SAMPLE


def test_the_sample_itself_stays_what_it_is():
    """It is known by its fingerprint, and evidence stands in its turns."""
    seen = row("last_agent")
    assert seen.sample is SAMPLE
    assert seen.text("dialogue").segments[1].turn == 1


def test_what_the_agent_said_before_a_picture_of_the_user_is_no_answer_and_still_no_last_agent():
    turns = (Turn("user", "这个呢"), Turn("agent", "一百元"), Turn("user", "<image>"))
    whole = SampleFields(Sample("1", "t", turns), sidecars())
    without = SampleFields(Sample("1", "t", turns), sidecars("last_agent"))
    assert whole.text("last_agent").text == "一百元"
    assert without.text("last_agent").text == ""
    assert without.text("dialogue").text == whole.text("dialogue").text


@pytest.mark.parametrize(("left_out", "is_known"), [((), True), (("last_agent",), False)])
def test_sentence_vectors_of_a_field_that_is_left_out_are_zeros(left_out, is_known):
    table = FieldTable([SAMPLE], sidecars(*left_out))
    assert table.vectors("last_agent").any() == is_known
    assert table.vectors("last_user").any()
    assert table.sidecars.left_out == set(left_out)


def test_no_condition_on_it_is_mined_and_none_holds():
    samples = [
        Sample(str(n), "t", (Turn("user", f"问{n}"), Turn("agent", "退款" if n % 2 else "发货"))) for n in range(8)
    ]
    rule = Rule(id="r-answers", label="退", when=When(all=(Condition(field="last_agent", terms=("退款",)),)))

    def found(*left_out: str) -> tuple[bool, int]:
        table = FieldTable(samples, sidecars(*left_out))
        conditions = build_vocabulary(table).conditions
        mined = any(condition.field == "last_agent" for condition in conditions)
        return mined, int(Engine([rule]).matrix(table).sum())

    assert found() == (True, 4)
    assert found("last_agent") == (False, 0)


def test_a_small_model_is_not_shown_its_pictures(tmp_path):
    (tmp_path / "b.png").write_bytes(b"")
    assert shown_sample(row("last_agent"), tmp_path) == ["能退吗"]
    assert len(shown_sample(row(), tmp_path)) == 2


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        (FieldsConfig(), set()),
        (FieldsConfig(last_agent=False), {"last_agent"}),
        (FieldsConfig(visual=False), {"image.kind", "image.colour"}),
        (FieldsConfig(last_agent=False, visual=False), {"last_agent", "image.kind", "image.colour"}),
    ],
)
def test_what_the_configuration_leaves_out_are_fields_of_rules(config, fields):
    assert config.left_out == fields <= set(FIELDS)
