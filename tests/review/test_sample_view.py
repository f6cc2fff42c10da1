"""The evidence of conditions on meaning and sight, as a sample shows it."""

from pathlib import Path

import pytest
from concept_encoder import concept_vectors
from rule_files import TASK
from seeing_shop import COLOUR, KIND, LARGE, SIZE, open_seeing_shop
from speaking_shop import open_speaking_shop

from kdsl.review.rule_page import hits_of
from kdsl.review.sample_view import Moment, ShownRegion, ShownSample
from kdsl.rules.condition import Condition
from kdsl.rules.wording import Language

FIRST = {"means": {"user": ["快递", "退钱"], "at": 0.6}}


def shown(folder: Path, row: int, *conditions: dict, language: Language = "en") -> ShownSample:
    """One sample, with the evidence of a rule with these conditions."""
    site = open_seeing_shop(folder, vectors=concept_vectors()).site
    [(sample, _)] = hits_of(
        site,
        TASK,
        site.indexes[TASK].training,
        [Condition.model_validate(each) for each in conditions],
        [row],
        language,
    )
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


def heard(folder: Path, row: int, *conditions: dict) -> ShownSample:
    site = open_speaking_shop(folder).site
    [(sample, _)] = hits_of(
        site, TASK, site.indexes[TASK].training, [Condition.model_validate(each) for each in conditions], [row], "en"
    )
    return sample


def test_what_is_said_is_marked_in_the_transcript_with_the_second_at_which_it_begins(tmp_path):
    [turn] = heard(tmp_path, 0, {"user": ["order"]}, {"voice": ["my", "where is"]}).turns
    [sound] = turn.sounds
    assert [(piece.text, piece.marked) for piece in sound.transcript] == [
        ("where is", True), (" my ", False), ("order", True)
    ]  # fmt: skip
    assert sound.moments == (Moment(1.5, "where is"), Moment(4.5, "order"))
    assert turn.pieces == () and turn.field == "last_user"


def test_without_the_times_of_words_a_transcript_is_marked_all_the_same(tmp_path):
    [sound] = heard(tmp_path, 1, {"voice": ["order"]}).turns[0].sounds
    assert [piece.marked for piece in sound.transcript] == [False, True]
    assert sound.moments == () and sound.seconds == 1.0


def test_sounds_of_no_turn_are_shown_once_with_their_own_evidence(tmp_path):
    sample = heard(tmp_path, 6, {"voice": ["order"]})
    assert [turn.sounds for turn in sample.turns] == [()]
    assert [len(sound.moments) for sound in sample.sounds] == [0, 0]
    assert [[piece.marked for piece in sound.transcript] for sound in sample.sounds] == [[False, True], [False]]


def test_evidence_on_numbers_of_sounds_is_told_in_words(tmp_path):
    assert heard(tmp_path, 0, {"audio.seconds": ">5"}).others == ("seconds of voice messages >5 (6)",)


def test_a_sound_without_transcript_or_file_says_so(tmp_path):
    gone = heard(tmp_path, 5, {"audio.count": ">=1"}).turns[0].sounds[0]
    assert gone.file is None and gone.transcript is None
    silent = heard(tmp_path / "other", 3, {"audio.count": ">=1"}).turns[0].sounds[0]
    assert silent.file is not None and silent.transcript == ()
