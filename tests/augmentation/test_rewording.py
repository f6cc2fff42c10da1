"""Other words from a small model: what is used, and what is dropped."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from augmented_shop import TASK, shop
from concept_encoder import concept_vectors

from kdsl.augmentation.meaning import far_apart
from kdsl.augmentation.rewording import WAYS, SmallRewording, is_like
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import SampleFields
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.model import Generation, Scores


class Writer:
    """Answers every question with the same lines, and yes or no by `yes`, the probability of yes."""

    identity = "writer"

    def __init__(self, text: str, yes: Callable[[str], float] = lambda question: 0.9):
        self.text, self.yes = text, yes
        self.asked: list[str] = []
        self.judged: list[str] = []

    def sees(self):
        return True

    def hears(self):
        return False

    def generate(self, conversations, max_new_tokens, choices=None):
        self.asked += [str(conversation[-1].pieces[-1]) for conversation in conversations]
        return [Generation(self.text, 5) for _ in conversations]

    def score(self, conversations, options):
        questions = [str(conversation[-1].pieces[-1]) for conversation in conversations]
        self.judged += questions
        p = np.array([[self.yes(question), 1 - self.yes(question)] for question in questions])
        n = np.ones(len(questions), dtype=np.int64)
        return Scores(np.log(p), np.array([2, 2]), 2 * n, n, 0 * n)


def rows(n: int):
    """The first asks whether the lamp's brightness can be changed."""
    table, labels = shop(9, 3)
    return table.rows[3 : 3 + n], labels[3 : 3 + n].tolist()


def test_synonyms_are_asked_for_with_the_label_s_meaning():
    writer = Writer("1. 桌灯\n2. 灯具")
    found = SmallRewording(writer, TASK, False)(*rows(1))
    assert found[0].synonyms == {"台灯": ["桌灯", "灯具"], "亮度": ["桌灯", "灯具"]}
    assert found[0].dialogues == ()
    assert all("调光" in question for question in writer.asked)


def test_paraphrases_replace_what_the_customer_said_last():
    writer = Writer("这盏灯的亮度可以调整吗\n灯光可调吗，我想问问\n可以把灯调暗吗\n这台灯亮度调得了吗")
    [found] = SmallRewording(writer, TASK, True)(*rows(1))
    assert len(found.dialogues) == WAYS
    original = rows(1)[0][0].sample.turns
    assert found.dialogues[0][0].text == "这盏灯的亮度可以调整吗"
    assert all(turns[0].images == original[0].images and turns[1:] == original[1:] for turns in found.dialogues)


def test_paraphrases_that_lose_a_placeholder_or_invent_a_number_are_dropped():
    assert is_like("这个灯<http>多少钱3天", "<http>里的灯3天价格是")
    assert not is_like("这个灯<http>多少钱", "这个灯的价格是")
    assert not is_like("这个灯多少钱啊", "这个灯50元多少")
    assert not is_like("这个灯多少钱", "这个灯多少钱")
    assert not is_like("这个灯多少钱", "灯")


def test_paraphrases_that_ask_for_something_else_are_dropped_and_named():
    asked = "这盏灯的亮度可以调整吗"
    writer = Writer(f"多长时间给它浇水一次呢\n{asked}", lambda question: 0.1 if "浇水" in question else 0.9)
    [found] = SmallRewording(writer, TASK, True)(*rows(1))
    assert [turns[0].text for turns in found.dialogues] == [asked]
    assert found.strayed == ("多长时间给它浇水一次呢",)


def test_what_an_encoder_finds_far_from_the_source_is_dropped_and_nobody_is_asked_about_it():
    near, far = "这盏灯的亮度可以调整吗", "请问快递什么时候会到这里呢"
    writer = Writer(f"{far}\n{near}")
    table, labels = rows(1)
    known = SampleFields(table[0].sample, replace(table[0].sidecars, vectors=concept_vectors()))
    [found] = SmallRewording(writer, TASK, True)([known], labels)
    assert [turns[0].text for turns in found.dialogues] == [near]
    assert found.strayed == (far,)
    assert len(writer.judged) == 1 and far not in writer.judged[0]


def test_how_far_is_told_from_what_is_usual():
    """Texts that share one of two things have a cosine of 0.71: near for most texts, far where all are alike."""
    pairs = [("退钱", "退款的快递")]
    assert far_apart(concept_vectors(), ["退钱", "快递", "灯", "谢谢"], pairs) == [False]
    assert far_apart(concept_vectors(), ["退款的快递", "快递和退钱", "退钱"], pairs) == [True]
    assert far_apart(concept_vectors(), ["退钱", "快递"], [("退钱", "快递"), ("退钱", "退款")]) == [True, False]
    assert far_apart(None, ["退钱", "快递"], [("退钱", "快递")]) == [False]
    assert far_apart(concept_vectors(), [], []) == []


def test_who_judges_sees_the_two_texts_and_no_label():
    writer = Writer("这盏灯的明暗可以变吗")
    table, labels = rows(1)
    SmallRewording(writer, TASK, True)(table, labels)
    [question] = writer.judged
    assert table[0].sample.turns[0].text in question
    assert "这盏灯的明暗可以变吗" in question
    assert question.endswith("只回答是或否。")
    assert not any(label.name in question for label in TASK.labels)


def test_what_is_neither_yes_nor_no_is_dropped():
    [found] = SmallRewording(Writer("这盏灯的亮度可以调整吗", lambda question: 0.5), TASK, True)(*rows(1))
    assert (found.dialogues, found.strayed) == ((), ("这盏灯的亮度可以调整吗",))


def test_english_tasks_are_asked_in_english():
    task = Task("shop", (Label("light"), Label("delivery")))
    row = SampleFields(Sample("s1", "shop", (Turn("user", "can I dim this lamp"),), (), "light"), Sidecars())
    writer = Writer("is it possible to dim this lamp")
    [found] = SmallRewording(writer, task, True)([row], [0])
    assert found.dialogues[0][0].text == "is it possible to dim this lamp"
    assert writer.judged == [
        "Two users wrote this.\nThe first: can I dim this lamp\nThe second: is it possible to dim this lamp\n"
        "Do they ask for, or say, the same thing? Answer yes or no only."
    ]


def test_nothing_is_asked_twice(tmp_path):
    writer = Writer("这盏灯的亮度可以调整吗")
    for _ in range(2):
        SmallRewording(CachedModel(writer, tmp_path / "answers.jsonl"), TASK, True)(*rows(3))
        assert (len(set(writer.asked)), len(set(writer.judged))) == (len(writer.asked), len(writer.judged))
    assert len(writer.judged) > 0


def test_samples_without_words():
    table, labels = shop(6, 1)
    for row in table.rows:
        row.sample = type(row.sample)(row.sample.id, "shop", (), row.sample.images, row.sample.label)
    found = SmallRewording(Writer("桌灯"), TASK, True)(table.rows, labels.tolist())
    assert all((each.dialogues, dict(each.synonyms)) == ((), {}) for each in found)
