"""Which texts hold which terms: many texts are looked through in blocks."""

import numpy as np
import pytest

from kdsl.bitmaps import unpack
from kdsl.rules import matcher
from kdsl.rules.matcher import Matcher

TERMS = ["card", "my card", "卡", "卡片"]
SAID = ["my card", "cards", "我的卡片", "卡", "nothing", ""]


@pytest.mark.parametrize("n_texts", [0, 1, 63, 64, 65, 128, 150, 200])
def test_in_blocks_the_same_is_found_as_at_once(monkeypatch, n_texts):
    texts = [SAID[number * 7 % len(SAID) if number % 3 else number % len(SAID)] for number in range(n_texts)]
    at_once = Matcher(TERMS).bitmaps(texts)
    monkeypatch.setattr(matcher, "_BLOCK", 64)
    in_blocks = Matcher(TERMS).bitmaps(texts)
    assert (in_blocks.shape, in_blocks.dtype) == (at_once.shape, np.uint64)
    assert (in_blocks == at_once).all()


def test_each_text_stands_at_its_own_bit_behind_the_first_block(monkeypatch):
    monkeypatch.setattr(matcher, "_BLOCK", 64)
    texts = ["nothing"] * 63 + ["my card"] + ["卡"] + ["nothing"] * 70 + ["卡片"]
    found = unpack(Matcher(TERMS).bitmaps(texts), len(texts))
    assert [np.flatnonzero(row).tolist() for row in found] == [[63], [63], [64, 135], [135]]


def test_a_block_fills_whole_words_of_a_bitmap():
    assert matcher._BLOCK % 64 == 0
