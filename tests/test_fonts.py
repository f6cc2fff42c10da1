"""Fonts for texts: made here, so that it does not matter which ones this machine has."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.ttCollection import TTCollection
from matplotlib import font_manager

from kdsl.fonts import font_families

CHINESE = "们这说调光骨"
"""With the characters by which a font for Chinese is known."""


def font(path: Path, family: str, characters: str, style: str = "Regular") -> Path:
    """A font file whose glyphs are all alike."""
    pen = TTGlyphPen(None)
    for at in ((0, 0), (0, 500), (500, 500)):
        (pen.lineTo if at != (0, 0) else pen.moveTo)(at)
    pen.closePath()
    names = [".notdef", *(f"u{ord(character):X}" for character in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): name for c, name in zip(characters, names[1:], strict=True)})
    builder.setupGlyf({name: pen.glyph() for name in names})
    builder.setupHorizontalMetrics({name: (600, 0) for name in names})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": style})
    builder.setupOS2(usWeightClass=700 if style == "Bold" else 400)
    builder.setupPost()
    builder.save(path)
    return path


def collection(path: Path, *fonts: Path) -> Path:
    """All of them in one file."""
    found = TTCollection()
    found.fonts = [TTFont(each) for each in fonts]
    found.save(path)
    return path


@pytest.fixture
def installed(monkeypatch) -> list[str]:
    """Files of the machine's fonts; matplotlib's list of fonts, made long ago, has only its own."""
    files: list[str] = []
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_: list(files))
    return files


def test_latin_needs_no_other_font(installed):
    assert font_families("true label 7") == ["DejaVu Sans"]


def test_a_font_that_was_installed_after_the_list_was_made_is_found(installed, tmp_path):
    assert font_families("调光") is None
    installed.append(str(font(tmp_path / "a.ttf", "Song", CHINESE)))
    assert font_families("调光") == ["Song", "DejaVu Sans"]
    assert font_families("调光暗") is None


def test_of_one_file_the_face_for_the_language_is_taken(installed, tmp_path):
    faces = [font(tmp_path / f"{at}.ttf", f"Sans CJK {at}", CHINESE + "のハ한글") for at in ("JP", "KR", "SC", "TC")]
    installed.append(str(collection(tmp_path / "all.ttc", *faces)))
    assert font_families("调光") == ["Sans CJK SC", "DejaVu Sans"]
    assert font_families("光のハ") == ["Sans CJK JP", "DejaVu Sans"]
    assert font_families("光한글") == ["Sans CJK KR", "DejaVu Sans"]
    drawn = font_manager.findfont(font_manager.FontProperties(family="Sans CJK SC"))
    assert drawn.face_index == 2


def test_a_font_that_nobody_marked_counts_as_chinese_by_its_characters(installed, tmp_path):
    installed.append(str(font(tmp_path / "a.ttf", "Gothic", "调光骨のハ")))
    assert font_families("调光") == ["Gothic", "DejaVu Sans"]  # better than none
    installed.append(str(font(tmp_path / "b.ttf", "Micro Hei", CHINESE)))
    assert font_families("调光") == ["Micro Hei", "DejaVu Sans"]
    installed.append(str(font(tmp_path / "c.ttf", "Hei GB", CHINESE)))
    assert font_families("调光") == ["Hei GB", "DejaVu Sans"]


def test_plain_fonts_come_before_those_with_serifs_and_of_one_width(installed, tmp_path):
    for name in ("Serif SC", "Sans Mono SC", "Sans SC"):
        installed.append(str(font(tmp_path / f"{name}.ttf", name, CHINESE)))
    assert font_families("调光") == ["Sans SC", "DejaVu Sans"]


def test_a_broken_font_file_is_left_alone(installed, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    installed += [str(tmp_path / "broken.ttf"), str(tmp_path / "gone.ttf")]
    installed.append(str(font(tmp_path / "a.ttf", "Song", CHINESE)))
    assert font_families("调光") == ["Song", "DejaVu Sans"]


def test_nothing_draws_what_no_font_has():
    assert font_families("\U0003fffe") is None
