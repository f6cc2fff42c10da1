"""Copies of samples: which, of what, and what rules still see in them."""

from dataclasses import replace

import numpy as np
import pytest
from augmented_shop import RULES, TASK, augmenter, rule, sample, shop
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.audio.transcript import Transcript
from kdsl.augmentation.augmenter import Augmenter, Copies, Rewording
from kdsl.augmentation.trainer import AugmentingTrainer
from kdsl.augmentation.words import cut
from kdsl.data.splits import stratified_folds
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.linear import LinearTrainer
from kdsl.models.out_of_fold import out_of_fold
from kdsl.rules.engine import Engine
from kdsl.sample import Label, Sample, Task, Turn


def pairs(copies: Copies, table: FieldTable):
    """Every copy's row with the row that it was made of."""
    return [(row, table.rows[source]) for row, source in zip(copies.table.rows, copies.sources, strict=True)]


def texts(row: SampleFields) -> list[str]:
    return [turn.text for turn in row.sample.turns]


def by_id(copies: Copies) -> dict[str, object]:
    return {row.sample.id: (row.sample, row.sidecars) for row in copies.table.rows}


def test_copies_are_labelled_samples_with_pages_of_their_own():
    table, labels = shop()
    copies = augmenter().copies(table, labels)
    assert len(copies) == 90
    for row, label, source in zip(copies.table.rows, copies.labels, copies.sources, strict=True):
        original = table.rows[source].sample
        assert row.sample.copy_of == original.id
        assert (label, row.sample.label) == (labels[source], original.label)
        assert row.sample != replace(original, id=row.sample.id, copy_of=original.id)
        assert row.sample.images[0] in copies.pictures
        assert row.sample.turns[0].images == row.sample.images
        assert row.sidecars.ocr[row.sample.images[0]].image == row.sample.images[0]
        assert row.text("ocr").text
    assert len(by_id(copies)) == len(copies)


def test_copies_play_the_sounds_of_their_original_and_know_what_is_said_in_them():
    table, labels = shop(n=6)
    heard = Sidecars(transcripts={"a.wav": Transcript("a.wav", 1.0, "退款")})
    rows = []
    for row in table.rows:
        turns = tuple(replace(turn, audio=("a.wav",)) for turn in row.sample.turns[:1]) + row.sample.turns[1:]
        rows.append(SampleFields(replace(row.sample, turns=turns, audio=("a.wav", "b.wav")), heard))
    copies = augmenter().copies(FieldTable.of_rows(rows), labels)
    assert len(copies)
    for row in copies.table.rows:
        assert (row.sample.audio, row.sample.turns[0].audio) == (("a.wav", "b.wav"), ("a.wav",))
        assert row.text("voice").text == "退款"


def test_a_sample_of_sounds_alone_has_no_copies():
    voice = Sample("1", "shop", (Turn("user", "", (), ("a.wav",)),), (), TASK.label_names[0], audio=("a.wav",))
    table = FieldTable([voice], Sidecars(transcripts={"a.wav": Transcript("a.wav", 1.0, "退款")}))
    assert len(augmenter().copies(table, np.array([0]))) == 0


def test_rare_labels_get_more():
    table, labels = shop(n=43, rare=3)
    copies = augmenter().copies(table, labels)
    each = np.bincount(copies.labels) / np.bincount(labels)
    assert each[2] > 1.5 * each[0]
    assert len(copies) == pytest.approx(3 * 43, abs=2)


@pytest.mark.parametrize("rules", [(), RULES])
def test_a_copy_is_the_same_whatever_other_samples_are_there(rules):
    """Only how many copies there are depends on the others."""
    table, labels = shop()
    whole = by_id(augmenter(rules=rules).copies(table, labels))
    part = by_id(augmenter(rules=rules).copies(table.select(range(5, 30, 2)), labels[5::2]))
    assert by_id(augmenter(rules=rules).copies(table, labels)) == whole
    common = part.keys() & whole.keys()
    assert len(common) > 25
    assert all(part[identity] == whole[identity] for identity in common)


def test_another_seed_gives_other_copies():
    table, labels = shop()
    first, second = (by_id(augmenter(seed=seed).copies(table, labels)) for seed in (0, 1))
    assert sum(first[identity] == second.get(identity) for identity in first) < 5


def broken(copies: Copies, table: FieldTable) -> int:
    """How many copies are not hit by a rule for their label that hit the original."""
    engine = Engine(RULES)
    own = np.array([TASK.label_names.index(rule.label) for rule in RULES])
    seen = engine.matrix(table)[copies.sources] & (own == copies.labels[:, None])
    return int((seen & ~engine.matrix(copies.table)).any(axis=1).sum())


@settings(max_examples=10)  # each is slow
@given(st.integers(0, 1000))
def test_every_copy_keeps_what_active_rules_for_its_label_see(seed):
    table, labels = shop()
    assert broken(augmenter(5, seed=seed, rules=RULES).copies(table, labels), table) == 0


def test_without_rules_many_copies_lose_it():
    table, labels = shop()
    assert broken(augmenter(5).copies(table, labels), table) > 10


def test_rules_for_other_labels_are_not_looked_at():
    table, labels = shop()
    other = [rule(9, "调光", {"last_user": ["发货"]}), rule(8, "没有的标签", {"last_user": ["灯"]})]
    assert by_id(augmenter(rules=other).copies(table, labels)) == by_id(augmenter().copies(table, labels))


def test_placeholders_and_numbers_are_kept():
    table, labels = shop()
    copies = augmenter(5).copies(table, labels)
    for row, before in pairs(copies, table):
        for pair in zip(texts(row), texts(before), strict=True):
            kept = [sorted(word.text for word in cut(text) if word.kept) for text in pair]
            assert kept[0] == kept[1]


def test_agents_words_change_less():
    table, labels = shop()
    copies = augmenter(5).copies(table, labels)
    changed = [np.array(texts(row)) != np.array(texts(before)) for row, before in pairs(copies, table)]
    user, agent = np.mean(changed, axis=0)
    assert user > agent > 0


def test_texts_or_images_alone():
    table, labels = shop()
    copies = augmenter(images=False).copies(table, labels)
    assert copies.pictures == {}
    for row, before in pairs(copies, table):
        assert (row.sample.images, row.text("ocr").text) == (before.sample.images, before.text("ocr").text)
        assert texts(row) != texts(before)
    copies = augmenter(text=False).copies(table, labels)
    for row, before in pairs(copies, table):
        assert texts(row) == texts(before)
        assert row.sample.images != before.sample.images


def test_a_sample_that_offers_nothing_to_change_has_no_copies():
    table = FieldTable([sample(1, text="😀", image=False), sample(2, text="", image=False)], Sidecars())
    for row in table.rows:
        row.sample = replace(row.sample, turns=row.sample.turns[:1])
    copies = augmenter().copies(table, np.array([0, 0]))
    assert (len(copies), copies.labels.tolist(), copies.sources.tolist()) == (0, [], [])


def test_captions_and_answers_hold_for_the_copy():
    original = sample(1)
    known = Sidecars(captions={"1.png": "一盏灯"}, answers={"1.png": {"有灯吗？": 0.9}})
    copies = augmenter().copies(FieldTable([original], known), np.array([0]))
    row = copies.table.rows[0]
    assert row.sample.images != original.images
    assert (row.text("caption").text, row.answer("有灯吗？")) == ("一盏灯", 0.9)


def test_a_small_model_s_dialogues_are_the_first_copies():
    def reword(rows, labels):
        assert list(labels) == [0]
        turns = rows[0].sample.turns
        return [Rewording(((replace(turns[0], text="灯光暗得下来吗"), turns[1]),))]

    table = FieldTable([sample(1)], Sidecars())
    copies = augmenter(reword=reword, images=False).copies(table, np.array([0]))
    paraphrased = [done["paraphrased"] for done in copies.operations]
    assert paraphrased == [1, 0, 0]


def test_of_a_small_model_s_words_only_those_that_rules_allow_are_used():
    def reword(rows, labels):
        return [Rewording(((Turn("user", "别的话", ("1.png",)), rows[0].sample.turns[1]),))]

    table = FieldTable([sample(1, text="请问能不能调光")], Sidecars())
    copies = augmenter(reword=reword, rules=RULES).copies(table, np.array([0]))
    assert all("调光" in row.sample.turns[0].text for row in copies.table.rows)


class Noting:
    """A trainer that notes what it is given."""

    def __init__(self):
        self.given = []

    def fit(self, table, labels, n_labels):
        self.given.append(([row.sample.source for row in table.rows], labels))
        return LinearTrainer().fit(table, labels, n_labels)


def test_no_copy_crosses_a_split():
    table, labels = shop(40, 5)
    folds = stratified_folds(labels, 5, 0)
    noting = Noting()
    out_of_fold(AugmentingTrainer(noting, augmenter()), table, labels, 3, folds)
    ids = np.array([row.sample.id for row in table.rows])
    assert len(noting.given) == 5
    for fold, (seen, seen_labels) in enumerate(noting.given):
        assert len(seen) > 100
        assert set(seen) == set(ids[folds != fold])
        names = dict(zip(ids, labels, strict=True))
        assert [names[identity] for identity in seen] == seen_labels.tolist()


def test_copies_have_ids_of_their_own_whatever_people_call_their_samples():
    table, labels = shop(n=6)
    names = ("s", "s+1", "s+", "s+2", "+1", "s+1+1")
    rows = FieldTable.of_rows(
        SampleFields(replace(row.sample, id=name), row.sidecars) for row, name in zip(table.rows, names, strict=True)
    )
    made = [row.sample for row in augmenter().copies(rows, labels).table.rows]
    assert len({*names, *(sample.id for sample in made)}) == len(names) + len(made)
    assert {sample.copy_of for sample in made} == set(names)


def test_a_copy_of_a_copy_is_one_of_the_first_sample():
    table, labels = shop(n=6)
    rows = FieldTable.of_rows(
        SampleFields(replace(row.sample, copy_of=f"first {row.sample.id}"), row.sidecars) for row in table.rows
    )
    copies = augmenter().copies(rows, labels)
    for row, source in zip(copies.table.rows, copies.sources, strict=True):
        assert row.sample.copy_of == rows.rows[source].sample.copy_of


def test_words_of_the_label_are_never_left_out():
    task = Task("shop", (Label("退款进度", "咨询退款"), Label("其他")))
    text = "亲，上次那个售后单，退款到哪里了"
    samples = [Sample(str(n), "shop", (Turn("user", text),), label="退款进度") for n in range(20)]
    copies = Augmenter(task, 10).copies(FieldTable(samples, Sidecars()), np.zeros(20, np.int64))
    said = [row.sample.turns[0].text for row in copies.table.rows]
    assert len(said) == 200
    assert all("退款" in each or "退钱" in each for each in said)
    assert not all("售后" in each for each in said)
