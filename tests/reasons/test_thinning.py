"""Of near-identical reasons for a label one stays."""

from kdsl.reasons.thinning import Thinning, shingles, similarity

FIRST = "归入〇〇的依据:屏幕中央有一盏台灯的三档开关,下面写着色温、瓦数和保修年限,别处看不到这样的组合。"
ALIKE = "归入「〇〇」的依据:屏幕中央有一盏台灯的三档按钮,下面写着色温、瓦数和质保年限,别处看不到这样的组合。"
OTHER = "用户问灯的亮度能不能调,客服说有三档。"
SAME_FRAME = "归入〇〇的依据:右上角有一只撑开的雨伞和水滴图案,别处看不到这样的组合。"


def test_the_first_of_several_alike_stays():
    thinning = Thinning()
    assert [thinning.like("scene", "台灯", text) for text in (FIRST, ALIKE, OTHER, FIRST)] == [
        False,
        True,
        False,
        True,
    ]


def test_labels_and_tasks_are_thinned_apart():
    thinning = Thinning()
    assert not any(thinning.like(*key, FIRST) for key in (("scene", "a"), ("scene", "b"), ("intent", "a")))


def test_the_same_frame_with_other_content_is_not_the_same():
    assert (
        similarity(shingles(FIRST), shingles(SAME_FRAME)) < 0.45 < 0.5 <= similarity(shingles(FIRST), shingles(ALIKE))
    )


def test_spaces_and_punctuation_make_no_difference():
    assert similarity(shingles("写着, 退款成功!"), shingles("写着退款 成功。")) == 1
    assert similarity(shingles(""), shingles("退")) == 0
