"""A decision as a notebook shows it: everything is there, everything is escaped, nothing runs or is fetched."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from concept_encoder import concept_vectors
from PIL import Image
from test_decision import LABELS, PAGES, RULES, decision

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.marked import found_by_place, marked_pieces
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.audio.transcript import Transcript, Word
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Turn

NASTY = "<script>alert(1)</script><img src=x onerror='x'>\"&amp;亮度"


class Read(HTMLParser):
    """Tags, attributes and texts of a page; fails where tags do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.marked: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "br":
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        inside = [tag for tag, _ in self._open]
        if "style" not in inside:
            self.text += data
        if "mark" in inside:
            self.marked.append((data, self._open[-1][1].get("class")))


def shown(given: Decision) -> Read:
    return Read(given._repr_html_())


def one_rule(text: str, label: str = "调光", turns=(), **condition) -> Decision:
    rule = Rule(id="r-one1", label=label, when=When(all=(Condition(**condition),)))
    sample = Sample("<b>a</b>", "shop", turns or (Turn("user", text),), label="<i>材质</i>")
    [[hit]] = Engine([rule]).hits(FieldTable([sample], Sidecars()))
    labels = (label, "<u>材质</u>")
    return Decision(sample, labels, np.array([0.2, 0.8]), np.array([0.7, 0.3]), (WeighedHit(hit, 0.9, 1.0),), "all")


def test_label_probability_reason_and_rules_are_shown():
    page = shown(decision((0.3, 0.6, 0.1), (0.7, 0.2, 0.1)))
    for part in (
        "调光 0.70",
        "shop · a",
        "Decided by the rules: rule r-lamp (user has 亮度) speaks for 调光",
        "r-linen",
    ):
        assert part in page.text
    assert re.search(r"材质\s*0\.600\s*0\.200", page.text)


def test_evidence_is_marked_in_turns_and_in_lines_of_images_and_what_speaks_against_differs():
    page = shown(decision((0.3, 0.6, 0.1), (0.7, 0.2, 0.1)))
    assert ("亮度", None) in page.marked
    assert ("棉麻", "against") in page.marked
    assert "面料：棉麻" in page.text
    assert "灯能调亮度吗" in page.text
    assert "dotted where they speak for another label" in page.text


def test_without_rules_it_says_so_and_marks_nothing():
    page = shown(decision((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), ()))
    assert "No rule holds." in page.text
    assert page.marked == []


def test_whatever_the_sample_the_rule_or_the_model_says_is_escaped():
    made = one_rule(NASTY, "<em>调光</em>", field="user", terms=("<script>", "亮度"))
    html = Decision(**{**vars(made), "model_reason": NASTY})._repr_html_()
    page = Read(html)
    allowed = {
        "div",
        "style",
        "p",
        "b",
        "span",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "mark",
        "code",
        "i",
    }
    assert set(page.tags) <= allowed
    assert NASTY in page.text
    for told in ("<em>调光</em>", "<u>材质</u>", "<b>a</b>", "<i>材质</i>"):
        assert told in page.text
    assert "onerror" not in dict(page.attributes)


def test_nothing_runs_and_nothing_is_fetched():
    page = shown(decision((0.3, 0.6, 0.1), (0.7, 0.2, 0.1), (0, 1, 2, 3)))
    assert {name for name, _ in page.attributes} <= {"class", "title", "style"}
    assert "url(" not in decision((1, 0, 0), (1, 0, 0))._repr_html_()


def test_a_number_or_a_negation_that_holds_is_told():
    for condition, told in (
        ({"field": "turns", "comparison": {"op": ">=", "value": 2.0}}, "turns >=2 (2)"),
        ({"field": "user", "terms": ("退款",), "negated": True}, "not user has 退款"),
    ):
        page = shown(one_rule("", turns=(Turn("user", "灯"), Turn("agent", "好")), **condition))
        assert told in page.text


def test_a_meaning_is_told_with_what_came_nearest():
    rule = Rule(id="r-means", label="调光", when=When(all=({"means": {"user": "灯", "at": 0.5}},)))
    sample = Sample("a", "shop", (Turn("user", "谢谢。亮度"),))
    [[hit]] = Engine([rule]).hits(FieldTable([sample], Sidecars(vectors=concept_vectors())))
    one = Decision(sample, LABELS, np.array([1, 0, 0]), np.array([1, 0, 0]), (WeighedHit(hit, 0.9, 1.0),), "all")
    page = shown(one)
    assert "user means 灯 (at 0.5): similarity 1.00 to 灯" in page.text
    assert [text for text, _ in page.marked if "亮" in text] == ["亮度"]


def test_what_is_said_in_sounds_is_marked_and_told_with_its_time():
    known = Sidecars(transcripts={"<v>.amr": Transcript("<v>.amr", 9.0, "灯太亮了", (Word("太亮", 3.4, 4.0),))})
    rule = Rule(id="r-loud", label="调光", when=When(all=({"text": ["太亮"]},)))
    spoken = (Turn("user", "在吗", audio=("<v>.amr",)), Turn("agent", "在", audio=("new.wav",)))
    for turns in (spoken, ()):
        sample = Sample("b", "shop", turns, audio=("<v>.amr", "new.wav"))
        [found] = Engine([rule]).hits(FieldTable([sample], known))
        hits = tuple(WeighedHit(hit, 0.9, 1.0) for hit in found)
        merged = np.array([1.0, *[0.0] * (len(LABELS) - 1)])
        read = shown(Decision(sample, LABELS, merged, merged, hits, "all"))
        assert ("太亮", None) in read.marked
        assert "text has 太亮: 0:03 in <v>.amr" in read.text
        assert "new.wav" in read.text


def test_many_rules_are_counted_and_long_texts_shortened():
    rules = [
        Rule(id=f"r-{number:04}", label="调光", when=When(all=(Condition(field="user", terms=("亮度",)),)))
        for number in range(30)
    ]
    sample = Sample("a", "shop", (Turn("user", "春" * 50_000 + "亮度" + "夏" * 50_000),))
    [hits] = Engine(rules).hits(FieldTable([sample], Sidecars()))
    weighed = tuple(WeighedHit(hit, 0.9, 1.0) for hit in hits)
    html = Decision(sample, LABELS, np.array([1, 0, 0]), np.array([1, 0, 0]), weighed, "all")._repr_html_()
    assert "and 20 more rules that weigh less" in html
    assert "…" in html and len(html) < 20_000


@pytest.mark.parametrize("text", ["灯能调亮度吗", "亮度", "亮度亮度", "前\n亮度后"])
def test_pieces_put_together_are_the_text_on_one_line(text):
    [found] = Engine(RULES[:1]).hits(FieldTable([Sample("a", "shop", (Turn("user", text),))], Sidecars()))
    weighed = [WeighedHit(hit, 0.9, 1.0) for hit in found]
    pieces = marked_pieces(text, found_by_place(weighed)[0, None, None, None])
    assert "".join(piece.text for piece in pieces) == text.replace("\n", " ")
    assert [piece.text for piece in pieces if piece.hits] == ["亮度"]


def test_evidence_that_overlaps_is_one_piece_with_all_its_rules():
    rules = [
        Rule(id=f"r-{name}", label="调光", when=When(all=(Condition(field="user", terms=(term,)),)))
        for name, term in (("long", "调亮度"), ("short", "亮度吗"))
    ]
    [found] = Engine(rules).hits(FieldTable([Sample("a", "shop", (Turn("user", "灯能调亮度吗"),))], PAGES))
    weighed = [WeighedHit(hit, 0.9, 1.0) for hit in found]
    [_, piece] = marked_pieces("灯能调亮度吗", found_by_place(weighed)[0, None, None, None])
    assert (piece.text, [hit.rule.id for hit in piece.hits]) == ("调亮度吗", ["r-long", "r-short"])


def test_a_decision_tells_itself_in_a_line():
    made = decision((0.3, 0.6, 0.1), (0.7, 0.2, 0.1))
    assert repr(made) == "Decision('a': '调光' 0.70, by the rules)"
    assert made.probabilities == {"调光": 0.7, "材质": 0.2, "物流": 0.1}
    assert [rule.rule.id for rule in made.rules] == ["r-lamp", "r-linen"]
    assert made.rules[0].evidence[0].term == "亮度"


def test_what_is_seen_on_an_image_is_marked_with_its_region(tmp_path):
    Image.new("RGB", (50, 100), "red").save(tmp_path / "<b>.png")
    colour = {"image.colour": {"zone": "top", "colour": "red", "share": ">0.3"}}
    rule = Rule(id="r-sees", label="调光", when={"all": [colour, {"image.kind": "screenshot"}]})
    sample = Sample("a", "shop", images=("<b>.png",))
    [[hit]] = Engine([rule]).hits(FieldTable([sample], Sidecars(pictures=Pictures(tmp_path))))
    labels = ("调光", "材质")
    page = shown(Decision(sample, labels, np.ones(2) / 2, np.array([0.8, 0.2]), (WeighedHit(hit, 0.9, 1.0),), "all"))
    assert "<b>.png" in page.text
    assert "0,0 to 50,20: red 1.00, >0.3" in page.text
    assert ("red 1.00, >0.3", None) in page.marked
    assert re.search(r"image.colour top red >0.3: red 1.00, >0.3 and image.kind screenshot0.90", page.text)
