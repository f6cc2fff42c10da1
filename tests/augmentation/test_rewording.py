"""Other words from a small model: what is used, and what is dropped."""

from augmented_shop import TASK, shop

from kdsl.augmentation.rewording import WAYS, SmallRewording, means_the_same
from kdsl.small.answer_cache import CachedModel
from kdsl.vlm.model import Generation


class Writer:
    """Answers every question with the same lines."""

    identity = "writer"

    def __init__(self, text: str):
        self.text = text
        self.asked: list[str] = []

    def generate(self, conversations, max_new_tokens, choices=None):
        self.asked += [str(conversation[-1].pieces[-1]) for conversation in conversations]
        return [Generation(self.text, 5) for _ in conversations]


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
    assert means_the_same("这个灯<http>多少钱3天", "<http>里的灯3天价格是")
    assert not means_the_same("这个灯<http>多少钱", "这个灯的价格是")
    assert not means_the_same("这个灯多少钱啊", "这个灯50元多少")
    assert not means_the_same("这个灯多少钱", "这个灯多少钱")
    assert not means_the_same("这个灯多少钱", "灯")


def test_nothing_is_asked_twice(tmp_path):
    writer = Writer("桌灯")
    SmallRewording(CachedModel(writer, tmp_path / "answers.jsonl"), TASK, True)(*rows(3))
    asked = len(writer.asked)
    SmallRewording(CachedModel(writer, tmp_path / "answers.jsonl"), TASK, True)(*rows(3))
    assert len(writer.asked) == asked > 3


def test_samples_without_words():
    table, labels = shop(6, 1)
    for row in table.rows:
        row.sample = type(row.sample)(row.sample.id, "shop", (), row.sample.images, row.sample.label)
    found = SmallRewording(Writer("桌灯"), TASK, True)(table.rows, labels.tolist())
    assert all((each.dialogues, dict(each.synonyms)) == ((), {}) for each in found)
