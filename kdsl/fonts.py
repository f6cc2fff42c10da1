"""A font that can draw a text: no Chinese font can be taken for granted."""

import re
from dataclasses import dataclass
from functools import lru_cache

_DEFAULT = "DejaVu Sans"
"""Comes with matplotlib; Latin, Greek and Cyrillic, no Chinese."""
_PLACEHOLDERS = "Last Resort"
"""A font that draws every character as a box."""
_MARKS = {
    "zh": re.compile(r"\b(SC|CN|GB\w*|Hans)\b"),
    "zh-Hant": re.compile(r"\b(TC|TW|HK|HC|MO|Hant)\b"),
    "ja": re.compile(r"\b(JP|J|Japanese)\b"),
    "ko": re.compile(r"\b(KR|K|Korean)\b"),
}
"""Language → how families are named that are made for it. Unicode does not tell apart what Chinese, Japanese and
Korean write in different ways, so that a font for one of them draws the others' texts, but looks wrong."""
_PROBES = {"zh": "们这说", "ja": "のハ", "ko": "한글"}
"""Characters that fonts for other languages need not have."""
_KANA, _HANGUL = re.compile("[\u3040-\u30ff]"), re.compile("[\u1100-\u11ff\uac00-\ud7af]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True)
class _Face:
    family: str
    path: str
    index: int
    """In a file of several faces, such as .ttc."""
    weight: int | str


def font_families(text: str) -> list[str] | None:
    """Font families for matplotlib (the second fills in for the first) that draw all of `text`; None if none does.

    Of several the one that is made for the text's language. Fonts count, too, that were installed after matplotlib
    had made its list of fonts, which it keeps from one process to the next.
    """
    characters = _points(text)
    if not _missing(_default_path(), 0, characters):
        return [_DEFAULT]
    _add_new_fonts()
    language = _language(text)
    faces = sorted(_upright_faces(), key=lambda face: _unfitness(face, language))
    for wanted in (characters | _points(_PROBES.get(language, "")), characters):
        for face in faces:
            if not _missing(face.path, face.index, wanted):
                return [face.family, _DEFAULT]
    return None


def _points(text: str) -> frozenset[int]:
    return frozenset(ord(character) for character in text if not character.isspace())


def _default_path() -> str:
    from matplotlib import font_manager

    return font_manager.findfont(_DEFAULT)


def _add_new_fonts() -> None:
    """Make fonts known that matplotlib's own list lacks; it is not written, as other programs use it too."""
    from matplotlib import font_manager

    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            font_manager.fontManager.addfont(path)
        except Exception:  # a broken font file on this machine is a font that we do not have; matplotlib does the same
            continue


def _upright_faces() -> list[_Face]:
    """Of the fonts that matplotlib knows; before matplotlib 3.11 only the first face of a file."""
    from matplotlib import font_manager

    return [
        _Face(font.name, font.fname, getattr(font, "index", 0), font.weight)
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and not font.name.startswith(_PLACEHOLDERS)
    ]


def _language(text: str) -> str:
    """Of what a text is written in, as far as it matters for fonts; empty where it does not."""
    if _KANA.search(text):
        return "ja"
    if _HANGUL.search(text):
        return "ko"
    return "zh" if _HAN.search(text) else ""


def _unfitness(face: _Face, language: str) -> tuple[int, bool, bool, bool]:
    """The smallest is taken: made for the language, then for none; without serifs; of normal weight and width."""
    marked = {of for of, marks in _MARKS.items() if marks.search(face.family)}
    rank = 0 if not language or language in marked else 2 if marked else 1
    return rank, "Serif" in face.family, "Mono" in face.family, face.weight not in (400, "normal", "regular")


@lru_cache(maxsize=256)
def _missing(path: str, index: int, characters: frozenset[int]) -> frozenset[int]:
    """Those of the code points that the face has no glyph for; all of them when the file cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path, face_index=index) if index else FT2Font(path)
    except (OSError, RuntimeError):  # a broken font file on this machine is a font that we do not have
        return characters
    return frozenset(character for character in characters if not font.get_char_index(character))
