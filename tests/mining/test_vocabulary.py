"""Which candidate conditions samples give, and what they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import table_of

from kdsl.audio.transcript import Transcript
from kdsl.bitmaps import unpack
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.vocabulary import Vocabulary, build_vocabulary, mined_fields
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Turn


def terms(vocabulary: Vocabulary, field: str = "text") -> set[str]:
    return {condition.terms[0] for condition in vocabulary.conditions if condition.field == field}


def page_of(text: str) -> OcrPage:
    return OcrPage("", (100, 100), (OcrLine(text, 1.0, (0, 50, 50, 54)),))


def test_of_terms_on_the_same_samples_the_word_is_taken():
    found = terms(build_vocabulary(table_of(["灯的亮度够吗", "调亮度的按钮", "东南", "西北"])))
    assert found == {"亮度"}


def test_terms_of_one_sample_or_of_nearly_all_are_left_out():
    texts = ["谢谢，亮度", "谢谢，亮度", "谢谢，材质", "谢谢，包邮", "谢谢，尺码"]
    assert terms(build_vocabulary(table_of(texts))) & {"谢谢", "材质", "亮度"} == {"亮度"}


def test_grammar_is_left_out_of_what_people_say_but_not_of_pages_and_labels():
    said = ["我的灯", "我的", "我的茶", "杯", "碗", "勺", "筷"]
    assert terms(build_vocabulary(table_of(said))) == set()
    assert terms(build_vocabulary(table_of(said), known_terms=["我的"])) == {"我的"}
    pages = {f"{i}.png": page_of("我的" if i < 2 else f"{i}") for i in range(5)}
    table = FieldTable([Sample(f"s{i}", "t", (), (f"{i}.png",)) for i in range(5)], Sidecars(ocr=pages))
    assert terms(build_vocabulary(table), "ocr") == {"我的"}


def test_pieces_of_words_are_left_out():
    texts = ["这个操控方便吗", "操控怎么样", "会掉色吗", "掉色严重", "杯子漏了", "箱子漏了"]
    found = terms(build_vocabulary(table_of(texts)))
    assert {"操控", "掉色", "漏了"} <= found
    assert found.isdisjoint({"操", "控", "掉", "色", "子", "子漏"})


def test_dialogues_are_read_by_their_turns_and_single_texts_as_text():
    dialogue = (Turn("user", "灯的亮度"), Turn("agent", "可以调亮度"))
    of_dialogues = FieldTable([Sample(f"s{i}", "t", dialogue) for i in range(3)], Sidecars())
    assert "text" not in mined_fields(of_dialogues) and "last_user" in mined_fields(of_dialogues)
    assert mined_fields(table_of(["亮度"]))[0] == "text" and "last_user" not in mined_fields(table_of(["亮度"]))


def test_known_terms_are_taken_however_rare():
    table = table_of(["亮度", "材质", "包邮", "尺码"])
    assert terms(build_vocabulary(table, known_terms=["材质", "退货"])) == {"材质", "退货"}


def test_the_forms_of_a_word_are_one_condition():
    table = table_of(["refunds, please", "was it refunded", "my fund", "the card"])
    [condition] = [each for each in build_vocabulary(table).conditions if "refunds" in each.terms]
    assert condition.terms == ("refunded", "refunds")


def test_a_known_word_is_one_of_its_forms_even_where_no_sample_holds_it():
    table = table_of(["activated", "activating", "the card", "my fund"])
    [condition] = build_vocabulary(table, known_terms=["activate"]).conditions
    assert set(condition.terms) == {"activate", "activated", "activating"}


def test_forms_that_occur_in_one_sample_only_are_left_out():
    assert terms(build_vocabulary(table_of(["a refund, refunded", "the card", "my fund"]))) == set()


def test_the_narrower_field_speaks_for_the_same_samples():
    fields = {c.field for c in build_vocabulary(table_of(["亮度", "亮度", "材质", "材质"])).conditions}
    assert fields == {"text"}


def test_a_field_with_the_same_texts_as_another_gives_nothing():
    vocabulary = build_vocabulary(table_of(["亮度", "亮度", "材质", "尺码"]), known_terms=["材质"])
    assert [str(condition) for condition in vocabulary.conditions] == ["text has 亮度", "text has 材质"]


def test_page_text_gives_terms_of_at_least_two_characters_and_zones():
    pages = {
        f"{i}.png": OcrPage(f"{i}.png", (100, 100), (OcrLine(text, 1.0, (0, y, 50, y + 4)),))
        for i, (text, y) in enumerate([("退款", 2), ("退款", 90), ("退款", 2), ("支付", 2), ("物流", 2)])
    }
    table = FieldTable([Sample(f"s{i}", "t", (), (f"{i}.png",)) for i in range(5)], Sidecars(ocr=pages))
    vocabulary = build_vocabulary(table)
    assert terms(vocabulary, "ocr") == {"退款"}
    assert terms(vocabulary, "ocr.top") == {"退款"}
    assert all(len(condition.terms[0]) >= 2 for condition in vocabulary.conditions if condition.terms)


def test_numbers_give_thresholds_in_both_directions():
    vocabulary = build_vocabulary(table_of([""] * 6, aspects=[0.5, 0.6, 1.0, 1.9, 2.0, 2.1]))
    written = {str(condition) for condition in vocabulary.conditions}
    assert any(words.startswith("image.aspect >1.") for words in written)
    assert any(words.startswith("image.aspect <=") for words in written)
    assert not any("turns" in words for words in written)  # the same for all


def test_counts_have_whole_numbers_for_thresholds():
    samples = [Sample(f"s{i}", "t", (Turn("user", ""),) * (1 + i * i)) for i in range(6)]
    found = [each.comparison for each in build_vocabulary(FieldTable(samples, Sidecars())).conditions]
    assert [str(comparison) for comparison in found] == ["<=2", ">7", "<=7", ">11"]


@pytest.mark.parametrize("texts", [[""] * 3, ["。", "，", "！"], ["甲", "乙", "丙"]])
def test_samples_that_share_nothing_give_no_conditions(texts):
    vocabulary = build_vocabulary(table_of(texts))
    assert (len(vocabulary), vocabulary.coverage.shape) == (0, (0, 1))


@given(st.lists(st.text("亮度灯光调a5 ，", max_size=8), min_size=2, max_size=70))
def test_coverage_is_what_the_engine_matches(texts):
    table = table_of(texts)
    vocabulary = build_vocabulary(table)
    rules = [Rule(id="r-0000", label="甲", when=When(all=(condition,))) for condition in vocabulary.conditions]
    assert (Engine(rules).matrix(table) == unpack(vocabulary.coverage, len(texts)).T).all()
    rows = vocabulary.coverage.tolist()
    assert len({(c.field, *row) for c, row in zip(vocabulary.conditions, rows, strict=True)}) == len(vocabulary)


def test_very_long_text_and_lone_surrogates_are_read():
    vocabulary = build_vocabulary(table_of(["亮度，\ud800灯光" + "长" * 100_000, "亮度，\ud800灯光", "材质", "尺码"]))
    assert any("亮度" in term for term in terms(vocabulary))


def paged(*lines: tuple[str, float, float]) -> FieldTable:
    """A table of one sample a page of 100 x 100, each with one line: its text, its upper edge and its height."""
    pages = {
        f"{i}.png": OcrPage(f"{i}.png", (100, 100), (OcrLine(text, 1.0, (0, y, 50, y + height)),))
        for i, (text, y, height) in enumerate(lines)
    }
    return FieldTable([Sample(f"s{i}", "t", (), (image,)) for i, image in enumerate(pages)], Sidecars(ocr=pages))


OTHERS = [("支付", 50, 2), ("物流", 50, 2), ("购物", 50, 2), ("店铺", 50, 2)]


def test_a_narrow_zone_speaks_only_where_plainer_fields_do_not():
    vocabulary = build_vocabulary(paged(("退款", 1, 2), ("退款", 1, 2), ("退款", 14, 2), ("退款", 14, 2), *OTHERS))
    assert [str(condition) for condition in vocabulary.conditions if "退款" in condition.sought] == [
        "ocr has 退款",
        "ocr.header has 退款",
    ]


def test_a_narrow_zone_does_not_repeat_the_words_of_labels():
    table = paged(("退款", 1, 2), ("退款", 1, 2), *OTHERS)
    vocabulary = build_vocabulary(table, known_terms=["退款"])
    fields = [condition.field for condition in vocabulary.conditions if "退款" in condition.sought]
    assert fields == ["ocr", "ocr.top"]


def test_large_type_is_said_where_it_tells_more_than_the_text():
    table = paged(("退款", 50, 9), ("退款", 50, 9), ("退款", 50, 2), *OTHERS * 5)
    said = [str(condition) for condition in build_vocabulary(table).conditions if "退款" in condition.sought]
    assert said == ["ocr has 退款", "ocr.size has 退款 in lines >0.02"]
    table = paged(("退款", 50, 9), ("退款", 50, 9), *OTHERS * 5)
    said = [str(condition) for condition in build_vocabulary(table).conditions if "退款" in condition.sought]
    assert said == ["ocr has 退款"]


def test_large_type_is_covered_as_the_engine_finds_it():
    table = paged(
        *[("退款成功", 50, 9)] * 2, *[("退款成功", 50, 2)] * 2, *[("refund", 50, 9)] * 2, ("refund", 5, 2), *OTHERS * 9
    )
    vocabulary = build_vocabulary(table)
    assert "ocr.size" in {condition.field for condition in vocabulary.conditions}
    rules = [Rule(id="r-0000", label="甲", when=When(all=(condition,))) for condition in vocabulary.conditions]
    assert (Engine(rules).matrix(table) == unpack(vocabulary.coverage, len(table)).T).all()


def heard(spoken: list[str | None], typed: list[str | None], seconds: float = 2.0) -> FieldTable:
    """Samples that are typed, spoken, or both; sample i speaks for `seconds` and i seconds more."""
    known = {
        f"{i}.wav": Transcript(f"{i}.wav", seconds + i, text) for i, text in enumerate(spoken) if text is not None
    }
    samples = [
        Sample(
            f"s{i}", "t", () if text is None else (Turn("user", text),),
            audio=() if spoken[i] is None else (f"{i}.wav",),
        )
        for i, text in enumerate(typed)
    ]  # fmt: skip
    return FieldTable(samples, Sidecars(transcripts=known))


def test_what_is_said_aloud_is_read_as_what_is_typed():
    vocabulary = build_vocabulary(
        heard(["要退款", None, "换个尺码", None, "东"], [None, "退款", None, "尺码大了", None])
    )
    assert {"退款", "尺码"} <= terms(vocabulary)


def test_a_condition_on_voice_is_there_for_what_texts_do_not_say():
    everything_spoken = heard(["要退款", "退款呢", "换尺码", "尺码大", "东"], [None] * 5)
    assert terms(build_vocabulary(everything_spoken), "voice") == set()
    some_typed = heard(["要退款", "退款呢", None, None, "东"], [None, None, "退款", "西", None])
    found = build_vocabulary(some_typed, known_terms=["退款"])
    assert ("退款" in terms(found), "退款" in terms(found, "voice")) == (True, True)
    typed_alike = heard(["要退款", "退款呢", None, None, "东"], [None, None, "南", "西", None])
    assert terms(build_vocabulary(typed_alike, known_terms=["退款"]), "voice") == set()


def test_grammar_is_left_out_of_what_is_said_aloud_too():
    said = heard(["我的灯", "我的", None, "杯", "碗", "勺"], [None, None, "我的", None, None, None])
    assert terms(build_vocabulary(said), "voice") == set()


def test_how_long_and_how_many_sounds_are_gives_thresholds():
    table = heard(["甲", "乙", "丙", None, None, None], [None, None, None, "丁", "戊", "己"], 3.0)
    found = {
        (condition.field, str(condition.comparison))
        for condition in build_vocabulary(table).conditions
        if condition.field.startswith("audio.")
    }
    assert {("audio.count", ">0"), ("audio.count", "<=0")} <= found
    assert any(field == "audio.seconds" for field, _ in found)
    assert not any(c.field.startswith("audio.") for c in build_vocabulary(table_of(["甲", "乙", "丙"])).conditions)
