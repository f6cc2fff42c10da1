"""The evidence of conditions on meaning and sight, as a sample shows it."""

from pathlib import Path

import pytest
from concept_encoder import concept_vectors
from rule_files import TASK
from seeing_shop import COLOUR, KIND, LARGE, SIZE, open_seeing_shop

from kdsl.review.rule_page import hits_of
from kdsl.review.sample_view import ShownRegion, ShownSample
from kdsl.rules.condition import Condition
from kdsl.rules.wording import Language

FIRST = {"means": {"user": ["快递", "退钱"], "at": 0.6}}


def shown(folder: Path, row: int, *conditions: dict, language: Language = "en") -> ShownSample:
    """One sample, with the evidence of a rule with these conditions."""
    site = open_seeing_shop(folder, vectors=concept_vectors()).site
    [(sample, _)] = hits_of(site, TASK, [Condition.model_validate(each) for each in conditions], [row], language)
    return sample


@pytest.mark.parametrize(
    ("language", "words"), [("en", "the top of the image: orange 100 %"), ("zh", "图片顶部：橙色 100%")]
)
def test_a_colour_is_the_rectangle_of_its_zone(tmp_path, language, words):
    [image] = shown(tmp_path, 5, COLOUR, language=language).images
    assert image.regions == (ShownRegion(0, 0, 100, 40, words),)
    assert (image.size, [line.marked for line in image.lines]) == (SIZE, [False])


@pytest.mark.parametrize(("language", "words"), [("en", "a screenshot"), ("zh", "截图")])
def test_a_kind_is_a_frame_around_the_image_also_where_ocr_has_not_read_it(tmp_path, language, words):
    [image] = shown(tmp_path, 6, KIND, language=language).images
    assert image.regions == (ShownRegion(0, 0, 100, 200, words),)
    assert image.size == SIZE and image.lines == ()


def test_a_negated_condition_on_sight_shows_what_is_there_instead(tmp_path):
    not_photo = {"not": {"image.kind": "photo"}}
    not_green = {"not": {"image.colour": {"zone": "bottom", "colour": "green", "share": ">0.1"}}}
    [image] = shown(tmp_path, 6, not_photo, not_green).images
    assert [region.words for region in image.regions] == ["a screenshot", "the bottom of the image: green 0 %"]
    assert image.regions[1].y == 160


def test_the_same_region_is_drawn_once(tmp_path):
    other = {"image.colour": {"zone": "top", "colour": "orange", "share": "<=1"}}
    [image] = shown(tmp_path, 5, COLOUR, other).images
    assert len(image.regions) == 1


@pytest.mark.parametrize(("language", "note"), [("en", "height 10.0 %"), ("zh", "行高 10.0%")])
def test_large_type_is_the_box_of_its_line_with_its_height(tmp_path, language, note):
    [image] = shown(tmp_path, 5, LARGE, language=language).images
    [line] = image.lines
    assert line.marked and image.regions == ()
    assert [tuple(piece) for piece in image.found[0]] == [("退款", True, note), ("成功", False, "")]


def test_a_meaning_marks_the_turn_with_its_similarity_and_the_nearest_wording(tmp_path):
    [turn] = shown(tmp_path, 1, FIRST).turns
    assert [tuple(piece) for piece in turn.pieces] == [("亲，退款到了吗", True, "≈ 退钱 (1.00)")]


def test_a_meaning_of_text_on_an_image_marks_its_line(tmp_path):
    [image] = shown(tmp_path, 5, {"means": {"ocr": "退钱", "at": 0.9}}).images
    assert image.lines[0].marked
    assert [tuple(piece) for piece in image.found[0]] == [("退款成功", True, "≈ 退钱 (1.00)")]


def test_no_note_is_lost_where_marks_overlap(tmp_path):
    second = {"means": {"last_user": "快递", "at": 0.6}}
    [turn] = shown(tmp_path, 2, {"user": ["退款"]}, FIRST, second).turns
    assert "".join(piece.text for piece in turn.pieces) == "退款和快递"
    notes = "; ".join(piece.note for piece in turn.pieces)
    assert notes.count("≈ 快递 (0.71)") == 1


def test_a_negated_meaning_says_in_words_what_came_nearest(tmp_path):
    sample = shown(tmp_path, 2, {"not": {"means": {"user": "退钱", "at": 0.8}}})
    assert sample.others == ('user turns mean nothing near "退钱" (similarity below 0.8) ≈ 退钱 (0.71)',)
    assert [piece.marked for piece in sample.turns[0].pieces] == [False]
