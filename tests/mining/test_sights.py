"""Which conditions on what is seen samples give, and what they cover."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kdsl.bitmaps import unpack
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.sights import SHARES, sight_conditions
from kdsl.mining.vocabulary import build_vocabulary
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.sample import Sample


@pytest.fixture
def table(tmp_path):
    """A table of one sample a picture, and of one without, from functions that draw on 100 x 150 pixels of white."""

    def made(*draw):
        samples = [Sample("none", "t"), Sample("gone", "t", images=("gone.png",))]
        for number, drawn in enumerate(draw):
            image = Image.new("RGB", (100, 150), "white")
            image = drawn(image) or image
            image.save(tmp_path / f"{number}.png")
            samples.append(Sample(f"s{number}", "t", images=(f"{number}.png",)))
        return FieldTable(samples, Sidecars(pictures=Pictures(tmp_path)))

    return made


def bar(colour, share, bottom=False):
    """Draws a bar over this share of the height."""

    def draw(image):
        box = (0, round(150 * (1 - share)), 100, 150) if bottom else (0, 0, 100, round(150 * share))
        image.paste(colour, box)

    return draw


def photo(seed):
    return lambda image: Image.fromarray(
        np.random.default_rng(seed).normal(128, 40, (150, 100, 3)).clip(0, 255).astype(np.uint8)
    )


def found(table, least=2, most=4):
    return {str(condition): flags.nonzero()[0].tolist() for condition, flags in sight_conditions(table, least, most)}


def test_a_colour_is_said_of_the_widest_zone_and_by_a_readable_share(table):
    conditions = found(table(*[bar("red", 0.2)] * 3, *[bar("blue", 0.1, bottom=True)] * 2, *[lambda image: None] * 4))
    assert conditions["image.colour page red >0.1"] == [2, 3, 4]
    assert conditions["image.colour page blue >0.05"] == [5, 6]
    assert not any("red" in words and "page" not in words for words in conditions), "a zone says the same"
    assert all(float(words.split(">")[1]) in SHARES for words in conditions if ">" in words)


def test_a_zone_speaks_where_the_page_does_not(table):
    top, bottom = [bar("red", 0.2)] * 2, [bar("red", 0.2, bottom=True)] * 2
    conditions = found(table(*top, *bottom, *[lambda image: None] * 5))
    assert conditions["image.colour page red >0.1"] == [2, 3, 4, 5]
    assert [words for words, rows in conditions.items() if rows == [2, 3]] == ["image.colour top red >0.3"]
    assert [words for words, rows in conditions.items() if rows == [4, 5]] == ["image.colour bottom red >0.3"]


def test_kinds_are_conditions(table):
    conditions = found(table(photo(0), photo(1), *[bar("red", 0.1)] * 6), most=2)
    assert conditions["image.kind photo"] == [2, 3]
    assert "image.kind screenshot" not in conditions, "on more than the most"


def test_too_few_and_too_many_samples_give_nothing(table):
    samples = table(bar("red", 0.2), *[lambda image: None] * 5)
    assert "image.colour page red >0.05" in found(samples, least=1)
    assert not any("red" in words for words in found(samples, least=2))
    assert not any("white" in words for words in found(samples, most=3))


def test_without_pictures_there_are_none(table):
    assert found(table()) == {}
    assert found(FieldTable([Sample("s", "t", images=("a.png",))] * 3, Sidecars())) == {}


def test_images_that_cannot_be_read_are_told_once(table, caplog):
    samples = table(*[bar("red", 0.2)] * 3)
    found(samples)
    found(samples)
    assert [message for message in caplog.messages if "gone.png" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_the_vocabulary_covers_what_the_engine_finds(table):
    def lines(image):
        ImageDraw.Draw(image).rectangle((10, 100, 90, 110), fill="black")

    samples = table(photo(0), photo(1), *[bar("orange", 0.3)] * 2, *[lines] * 3, bar("green", 0.5, bottom=True))
    vocabulary = build_vocabulary(samples)
    assert {"image.kind", "image.colour"} <= {condition.field for condition in vocabulary.conditions}
    rules = [Rule(id="r-0000", label="甲", when={"all": (condition,)}) for condition in vocabulary.conditions]
    assert (Engine(rules).matrix(samples) == unpack(vocabulary.coverage, len(samples)).T).all()
