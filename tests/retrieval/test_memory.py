"""What prompts draw on: short neighbours with their labels, never a copy; saved, damaged, and changed memories."""

from pathlib import Path

import numpy as np
import pytest

from kdsl.audio.transcript import Transcript
from kdsl.errors import KdslError
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.retrieval.content import Content
from kdsl.retrieval.knowledge import Passage
from kdsl.retrieval.memory import LONGEST_TURN, Memory, Neighbour
from kdsl.sample import Sample, Turn

SAID = ["台灯亮度可以调吗", "这个灯能调光吗", "台灯太亮了能调暗吗", "裤子是什么面料", "面料是纯棉的吗"]
LABELS = ["能否调光"] * 3 + ["商品材质"] * 2
TABLE = FieldTable([Sample(str(i), "t", (Turn("user", text),)) for i, text in enumerate(SAID)], Sidecars())
PASSAGES = [Passage("台灯", "亮度三档可调", "a.md, line 1")]
MEMORY = Memory.fit(TABLE, LABELS, PASSAGES)


def asked(text: str, id: str = "new", copy_of: str | None = None) -> SampleFields:
    return SampleFields(Sample(id, "t", (Turn("user", text),), copy_of=copy_of), Sidecars())


def test_the_nearest_come_with_their_labels():
    assert MEMORY.nearest(asked("裤子的面料是纯棉吗"), 2) == [
        Neighbour("用户：面料是纯棉的吗", "商品材质"),
        Neighbour("用户：裤子是什么面料", "商品材质"),
    ]
    assert MEMORY.nearest(asked("裤子"), 0) == []


def test_no_sample_meets_itself_and_no_copy_the_sample_it_was_made_of():
    for place, row in enumerate(TABLE.rows):
        for again in (row, asked(f"请问{SAID[place]}呢谢谢", "copy", copy_of=row.sample.id)):
            found = MEMORY.nearest(again, 9)
            assert found
            assert f"用户：{SAID[place]}" not in [neighbour.text for neighbour in found]


def test_a_new_sample_meets_the_training_sample_that_is_numbered_alike():
    for place, row in enumerate(TABLE.rows):
        found = MEMORY.nearest(asked(f"请问{SAID[place]}呢谢谢", row.sample.id), 9)
        assert found[0].text == f"用户：{SAID[place]}"


def test_samples_with_one_id_are_all_remembered():
    """Ids that occur twice are a finding of `kdsl check`; nothing of what was labelled is lost over them."""
    rows = FieldTable([Sample("0", "t", row.sample.turns) for row in TABLE.rows], Sidecars())
    assert Memory.fit(rows, LABELS, PASSAGES).neighbours == MEMORY.neighbours


def test_of_a_sample_and_its_copies_one_is_remembered():
    copies = [Sample(f"c{n}", "t", (Turn("user", f"台灯的亮度可调吗{n}"),), copy_of="0") for n in (1, 2)]
    rows = FieldTable([*(row.sample for row in TABLE.rows), *copies], Sidecars())
    memory = Memory.fit(rows, [*LABELS, "能否调光", "能否调光"], PASSAGES)
    assert memory.neighbours == MEMORY.neighbours


def test_a_sample_is_shown_in_one_short_line_of_cleaned_text():
    lines = [OcrLine("9:41", 1.0, (0, 5, 30, 25)), *(OcrLine(f"第{n}行¥12.00", 1.0, (0, 90 + 20 * n, 80, 105 + 20 * n))
             for n in range(40))]  # fmt: skip
    sample = Sample("1", "t", (Turn("user", "很长\n" * 40, ("a.png",)),), ("a.png",))
    rows = FieldTable([sample], Sidecars(ocr={"a.png": OcrPage("a.png", (600, 1200), tuple(lines))}))
    [neighbour] = Memory.fit(rows, ["a"], []).neighbours
    said, _, read = neighbour.text.partition("；")
    assert len(said) <= len("用户：") + LONGEST_TURN
    assert said.endswith("…")
    assert read.startswith("图中文字：第0行¥<价格> / 第1行¥<价格>")
    assert "\n" not in neighbour.text
    assert "9:41" not in neighbour.text
    assert len(read) < 150


def test_pictures_without_words_or_text_are_known_by_their_looks(tmp_path: Path):
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (2, 64, 64), dtype=np.uint8)
    for name, pixels in (("a", noise[0]), ("b", noise[0]), ("c", noise[1])):
        Image.fromarray(pixels).resize((256, 256), Image.Resampling.NEAREST).save(tmp_path / f"{name}.png")
    pages = {f"{n}.png": OcrPage(f"{n}.png", (9, 9), (OcrLine(t, 1.0, (0, 0, 9, 9)),))
             for n, t in (("a", "拍照"), ("b", "拍照看看"), ("c", "拍照"), ("d", "拍照"))}  # fmt: skip
    rows = FieldTable([Sample(n, "t", (), (f"{n}.png",)) for n in "ac"], Sidecars(ocr=pages))
    memory = Memory.fit(rows, ["甲", "乙"], [], tmp_path)
    twin = SampleFields(Sample("b", "t", (), ("b.png",)), Sidecars(ocr=pages))
    assert [neighbour.label for neighbour in memory.nearest(twin, 2, tmp_path)] == ["乙"]
    assert {neighbour.label for neighbour in memory.nearest(twin, 2)} == {"甲", "乙"}


def test_samples_without_any_text_have_no_neighbours(tmp_path: Path):
    rows = FieldTable([Sample(str(n), "t", (Turn("user", " "),)) for n in range(3)], Sidecars())
    Memory.fit(rows, ["甲", "乙", "乙"], []).save(tmp_path)
    memory = Memory.load(tmp_path)
    assert memory.nearest(asked("灯"), 2) == []
    assert memory.known(asked("灯"), 2) == []


def test_a_saved_memory_says_the_same(tmp_path: Path):
    MEMORY.save(tmp_path)
    loaded = Memory.load(tmp_path)
    question = asked("台灯的亮度怎么调")
    assert loaded.nearest(question, 3) == MEMORY.nearest(question, 3)
    assert loaded.known(question, 3) == MEMORY.known(question, 3) == PASSAGES
    assert loaded.information == MEMORY.information
    assert loaded.fingerprint == MEMORY.fingerprint
    assert Memory.fit(TABLE, LABELS, PASSAGES).fingerprint == MEMORY.fingerprint
    assert Memory.fit(TABLE, LABELS[::-1], PASSAGES).fingerprint != MEMORY.fingerprint


@pytest.mark.parametrize("kept", [0, 0.5, 0.98])
def test_a_torn_file_is_named(kept: float, tmp_path: Path):
    MEMORY.save(tmp_path)
    content = (tmp_path / "memory.npz").read_bytes()
    (tmp_path / "memory.npz").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(
        KdslError, match=r"memory\.npz: damaged or not what prompts draw on .*call project\.train\(\) again"
    ):
        Memory.load(tmp_path)


def test_a_missing_file_and_another_version_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(KdslError, match=r"memory\.npz: no such file; call project\.train\(\) again"):
        Memory.load(tmp_path)
    monkeypatch.setattr("kdsl.retrieval.memory.VERSION", 9)
    MEMORY.save(tmp_path)
    monkeypatch.setattr("kdsl.retrieval.memory.VERSION", 2)
    with pytest.raises(KdslError, match=r"memory\.npz: version 9 .* reads version 2"):
        Memory.load(tmp_path)


def spoken(text: str | None, id: str = "new", *, images: tuple[str, ...] = (), audio: str = "a.wav") -> SampleFields:
    known = {} if text is None else {audio: Transcript(audio, 2.0, text)}
    return SampleFields(Sample(id, "t", images=images, audio=(audio,)), Sidecars(transcripts=known))


def test_who_speaks_is_remembered_and_looked_up_as_who_types():
    question = asked("裤子的面料是纯棉吗")
    assert MEMORY.nearest(spoken("裤子的面料是纯棉吗"), 2) == MEMORY.nearest(question, 2)
    aloud = FieldTable.of_rows(spoken(text, str(i)) for i, text in enumerate(SAID))
    memory = Memory.fit(aloud, LABELS, PASSAGES)
    assert memory.neighbours == MEMORY.neighbours
    assert memory.nearest(question, 2) == MEMORY.nearest(question, 2)


def test_who_says_word_for_word_what_another_types_is_no_neighbour_of_that_one():
    assert f"用户：{SAID[3]}" not in [found.text for found in MEMORY.nearest(spoken(SAID[3]), 9)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (spoken(None, "1", audio="a.wav"), spoken(None, "2", audio="b.wav"), False),
        (spoken(None, "1", audio="a.wav"), spoken(None, "2", audio="a.wav"), True),
        (spoken("我要退款", "1", audio="a.wav"), spoken("我要退款", "2", audio="b.wav"), True),
        (spoken("我要退款", "1", audio="a.wav"), spoken("换个尺码", "2", audio="b.wav"), False),
        (
            spoken(None, "1", images=("p.png",), audio="a.wav"),
            spoken(None, "2", images=("p.png",), audio="b.wav"),
            False,
        ),
    ],
)
def test_sounds_are_the_same_by_what_is_said_or_by_their_files(one, other, same):
    assert Content.of(one).same(Content.of(other)) == same
    assert Content.of_record(Content.of(one).record()) == Content.of(one)
