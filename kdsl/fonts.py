"""A font that can draw a text: no Chinese font can be taken for granted."""

from functools import lru_cache

_DEFAULT = "DejaVu Sans"
"""Comes with matplotlib; Latin, Greek and Cyrillic, no Chinese."""
_PLACEHOLDERS = "Last Resort"
"""A font that draws every character as a box."""


def font_families(text: str) -> list[str] | None:
    """Font families for matplotlib (the second fills in for the first) that draw all of `text`; None if none does."""
    characters = frozenset(ord(character) for character in text if not character.isspace())
    if _missing(_default_path(), characters) == frozenset():
        return [_DEFAULT]
    for family, path in _candidates():
        if not _missing(path, characters):
            return [family, _DEFAULT]
    return None


def _default_path() -> str:
    from matplotlib import font_manager

    return font_manager.findfont(_DEFAULT)


def _candidates() -> list[tuple[str, str]]:
    """(family, path) of the installed upright fonts, those without serifs and of normal weight and width first."""
    from matplotlib import font_manager

    fonts = [
        font
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and not font.name.startswith(_PLACEHOLDERS)
    ]
    fonts.sort(
        key=lambda font: ("Serif" in font.name, "Mono" in font.name, font.weight not in (400, "normal", "regular"))
    )
    return [(font.name, font.fname) for font in fonts]


@lru_cache(maxsize=256)
def _missing(path: str, characters: frozenset[int]) -> frozenset[int]:
    """Those of the code points that the font file has no glyph for; all of them when the file cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # a broken font file on this machine is a font that we do not have
        return characters
    return frozenset(character for character in characters if not font.get_char_index(character))
