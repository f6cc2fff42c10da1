"""Conditions on what is seen on an image: the engine finds them, and evidence is a region of the image."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.sample import Sample

TOP_ORANGE = {"image.colour": {"zone": "top", "colour": "orange", "share": ">0.3"}}
REFUNDED = {"ocr.size": {"terms": ["退款成功", "OK"], "height": ">0.03"}}


@pytest.fixture
def sidecars(tmp_path):
    """A screenshot whose top is half orange, and a photo; only of the screenshot is the text known."""
    image = Image.new("RGB", (100, 180), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 49, 35), fill="#ff6000")
    image.save(tmp_path / "page.png")
    noise = np.random.default_rng(0).normal(128, 30, (120, 160, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    lines = (OcrLine("退款成功了", 1.0, (0, 0, 50, 10)), OcrLine("ok 退款", 1.0, (0, 100, 50, 120)))
    return Sidecars({"page.png": OcrPage("page.png", (200, 360), lines)}, pictures=Pictures(tmp_path))


SAMPLES = [
    Sample("page", "t", images=("page.png",)),
    Sample("photo", "t", images=("photo.png",)),
    Sample("gone", "t", images=("gone.png",)),
    Sample("none", "t"),
]


def rule(*conditions):
    return Rule(id="r-0000", label="x", when={"all": list(conditions)})


def found(sidecars, *conditions):
    """The ids of the samples that a rule with these conditions hits."""
    flags = Engine([rule(*conditions)]).matrix(FieldTable(SAMPLES, sidecars))[:, 0]
    return {sample.id for sample, flag in zip(SAMPLES, flags, strict=True) if flag}


def evidence(sidecars, condition):
    """The evidence for it on the first sample that it holds on."""
    hits = Engine([rule(condition)]).hits(FieldTable(SAMPLES, sidecars))
    return next(hit.evidence[0] for row in hits for hit in row)


def test_a_kind_holds_on_the_images_of_that_kind(sidecars):
    assert found(sidecars, {"image.kind": "screenshot"}) == {"page"}
    assert found(sidecars, {"image.kind": "photo"}) == {"photo"}
    assert found(sidecars, {"image.kind": "long_page"}) == set()


def test_a_colour_holds_by_its_share_of_the_zone(sidecars):
    assert found(sidecars, TOP_ORANGE) == {"page"}
    for zone, share, ids in [
        ("top", ">0.5", set()), ("top", ">=0.5", {"page"}), ("page", ">0.3", set()), ("page", ">0.09", {"page"}),
        ("bottom", "<0.1", {"page", "photo"}), ("body", "=0", {"page"}),
    ]:  # fmt: skip
        colour = {"zone": zone, "colour": "orange", "share": share}
        assert found(sidecars, {"image.colour": colour}) == ids


def test_without_a_picture_neither_a_comparison_nor_a_kind_holds_and_every_negation_does(sidecars):
    assert found(sidecars, {"not": {"image.kind": "photo"}}) == {"page", "gone", "none"}
    assert found(sidecars, {"not": TOP_ORANGE}) == {"photo", "gone", "none"}
    unseen = Sidecars(sidecars.ocr)
    assert found(unseen, TOP_ORANGE) == found(unseen, {"image.kind": "photo"}) == set()


def test_large_type_is_a_term_in_a_line_of_that_height(sidecars):
    def sized(terms, height):
        return found(sidecars, {"ocr.size": {"terms": terms, "height": height}})

    assert sized(["退款成功"], ">0.02") == {"page"}
    assert sized(["退款成功"], ">0.03") == set()
    assert sized(["退款成功"], "<=0.03") == {"page"}
    assert sized(["退款"], ">0.03") == {"page"}
    assert sized(["退款成功", "ＯＫ"], ">0.05") == {"page"}
    assert sized(["o"], ">0.05") == set(), "only whole words of Latin script"
    assert found(sidecars, {"not": REFUNDED}) == {"photo", "gone", "none"}


def test_several_sizes_of_the_same_terms_are_kept_apart(sidecars):
    conditions = [
        {"ocr.size": {"terms": terms, "height": height}}
        for terms in (["退款成功"], ["退款"], ["退款", "ok", "x"])
        for height in (">0.02", ">0.03", ">0.06")
    ]
    rules = [Rule(id=f"r-000{i}", label="x", when={"all": [each]}) for i, each in enumerate(conditions)]
    rules.append(Rule(id="r-plain", label="x", when={"all": [{"ocr": ["退款成功"]}, conditions[4]]}))
    hits = Engine(rules).matrix(FieldTable(SAMPLES, sidecars))[0]
    assert hits.tolist() == [True, False, False, True, True, False, True, True, False, True]


def test_the_evidence_of_a_colour_is_its_zone_in_pixels_of_the_page(sidecars):
    assert evidence(sidecars, TOP_ORANGE).record() == {
        "condition": 0,
        "field": "image.colour",
        "image": "page.png",
        "box": [0, 0, 200, 72],
        "comparison": ">0.3",
        "value": 0.5,
    }
    bar = {"image.colour": {"zone": "bar", "colour": "white", "share": ">0.9"}}
    assert evidence(sidecars, bar).box == pytest.approx((0, 324, 200, 360))


def test_where_no_text_was_read_the_region_is_in_pixels_of_the_image(sidecars):
    body = {"image.colour": {"zone": "body", "colour": "black", "share": "<1"}}
    unread = Sidecars(pictures=sidecars.pictures)
    assert evidence(unread, body).box == pytest.approx((0, 36, 100, 144))


def test_the_evidence_of_a_kind_is_the_whole_image(sidecars):
    assert evidence(sidecars, {"image.kind": "photo"}).record() == {
        "condition": 0,
        "field": "image.kind",
        "image": "photo.png",
        "box": [0, 0, 160, 120],
        "kind": "photo",
    }


def test_the_evidence_of_a_negation_is_what_was_seen_instead(sidecars):
    negated = evidence(sidecars, {"not": {"image.kind": "photo"}})
    assert (negated.negated, negated.kind, negated.image) == (True, "screenshot", "page.png")
    colour = evidence(sidecars, {"not": {"image.colour": {"zone": "top", "colour": "orange", "share": ">0.6"}}})
    assert (colour.value, colour.box) == (0.5, (0, 0, 200, 72))
    assert evidence(sidecars, {"not": {"ocr.size": {"terms": ["发货"], "height": ">0"}}}).absent == ("发货",)
    unseen = evidence(Sidecars(), {"not": TOP_ORANGE})
    assert unseen.record() == {"condition": 0, "field": "image.colour", "negated": True, "comparison": ">0.3"}


def test_the_evidence_of_large_type_is_the_line(sidecars):
    assert evidence(sidecars, REFUNDED).record() == {
        "condition": 0,
        "field": "ocr.size",
        "term": "OK",
        "image": "page.png",
        "line": 1,
        "box": [0, 100, 50, 120],
        "span": [0, 2],
        "comparison": ">0.03",
        "value": pytest.approx(20 / 360),
    }


def test_of_several_terms_in_large_type_the_one_found_is_told(sidecars):
    assert str(evidence(sidecars, REFUNDED).as_found) == "ocr.size has OK in lines >0.03"
    assert str(evidence(sidecars, {"ocr": ["发货", "退款成功"]}).as_found) == "ocr has 退款成功"
    assert str(evidence(sidecars, TOP_ORANGE).as_found) == "image.colour top orange >0.3"


def test_what_was_seen_is_told_in_a_few_words(sidecars):
    assert evidence(sidecars, TOP_ORANGE).seen == "orange 0.50, >0.3"
    assert evidence(sidecars, {"image.kind": "photo"}).seen == "photo"
    assert evidence(sidecars, REFUNDED).seen == "height 0.056, >0.03"
    assert evidence(sidecars, {"ocr": ["退款"]}).seen is None
    assert str(evidence(sidecars, TOP_ORANGE).region) == "0,0 to 200,72"
