"""The classifier without labelled samples: nearness in meaning, n-grams in common, what unlabelled samples tell."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from kdsl.embeddings.encoder import Vectors32
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.errors import KdslError
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.cold_start import ColdStartClassifier, fit_cold_start
from kdsl.models.embedded import Embedded, EmbeddedClassifier, EmbeddedTrainer, is_cold
from kdsl.sample import Label, Sample, Task, Turn

CONCEPTS = (("退款", "把钱还"), ("物流", "包裹"), ("调光", "太亮"), ("咨询", "请问"))
TASK = Task("shop", (Label("退款", "咨询退款"), Label("物流", "咨询物流"), Label("调光", "咨询调光")))
NOTHING = FieldTable([], Sidecars())


class Encoder:
    """A text is the counts of its concepts; one without any points in a direction of its own."""

    size = len(CONCEPTS) + 1
    lacks = ""

    def __init__(self, name: str = "concepts") -> None:
        self.name = self.identity = name

    def encode(self, texts: Sequence[str]) -> Vectors32:
        counts = np.array([[sum(map(text.count, words)) for words in CONCEPTS] for text in texts], dtype=np.float32)
        vectors = np.concatenate([counts, counts.sum(axis=1, keepdims=True) == 0], axis=1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Missing(Encoder):
    lacks = "the package concepts"


VECTORS = SentenceVectors(Encoder())


def asked(*dialogues: str | Sequence[str], vectors: SentenceVectors | None = VECTORS) -> FieldTable:
    """Samples of user turns, the agent's answer last where a turn begins with 客服."""
    samples = []
    for number, dialogue in enumerate(dialogues):
        texts = [dialogue] if isinstance(dialogue, str) else dialogue
        turns = [Turn("agent" if text.startswith("客服") else "user", text) for text in texts]
        samples.append(Sample(str(number), "shop", tuple(turns)))
    return FieldTable(samples, Sidecars(vectors=vectors))


def page(*lines: str, vectors: SentenceVectors | None = VECTORS) -> FieldTable:
    boxes = [OcrLine(text, 0.9, (10.0, 40.0 * n + 100, 400.0, 40.0 * n + 130)) for n, text in enumerate(lines)]
    pages = {"a.jpg": OcrPage("a.jpg", (500, 2000), tuple(boxes))}
    return FieldTable([Sample("s", "shop", images=("a.jpg",))], Sidecars(ocr=pages, vectors=vectors))


def told(table: FieldTable, task: Task = TASK, unlabelled: FieldTable = NOTHING) -> list[str]:
    vectors = table.rows[0].sidecars.vectors
    predicted = fit_cold_start(task, unlabelled, vectors).predict(table)
    return [task.label_names[index] for index in predicted.probabilities.argmax(axis=1)]


def test_other_words_for_the_same_thing_are_found_by_meaning():
    assert told(asked("把钱还给我", "我的包裹呢", "夜里太亮")) == ["退款", "物流", "调光"]


def test_without_an_encoder_characters_tell():
    table = asked("什么时候退款", "物流太慢", "能调光吗", vectors=None)
    assert told(table) == ["退款", "物流", "调光"]
    other_words = asked("把钱还给我", vectors=None)
    predicted = fit_cold_start(TASK, NOTHING, None).predict(other_words).probabilities
    assert predicted[0] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("vectors", [VECTORS, None], ids=["with an encoder", "without"])
def test_what_all_labels_share_tells_none_from_another(vectors):
    predicted = fit_cold_start(TASK, NOTHING, vectors).predict(asked("咨询", vectors=vectors)).probabilities
    assert predicted[0] == pytest.approx([1 / 3] * 3)


def test_underscores_in_names_are_spaces():
    task = Task("bank", (Label("card_arrival"), Label("exchange_rate")))
    assert told(asked("my card arrival", "what is the exchange rate", vectors=None), task) == [
        "card_arrival",
        "exchange_rate",
    ]
    probability = fit_cold_start(task, NOTHING, None).predict(asked("d a", vectors=None)).probabilities[0, 0]
    assert probability > 0.5  # "d a" stands in "card arrival"


def test_a_description_counts_beside_the_name():
    task = Task("shop", (Label("一", "把钱还"), Label("二", "我的包裹")))
    assert told(asked("退款", "物流"), task) == ["一", "二"]


def test_the_last_user_turn_counts_more_than_the_agent_s_answer_and_that_more_than_nothing():
    assert told(asked(["我的包裹", "客服：夜里太亮"])) == ["物流"]
    assert told(asked(["这个呢", "客服：夜里太亮"])) == ["调光"]


def test_an_earlier_turn_counts_less_than_the_last_and_one_turn_alone_counts_once():
    assert told(asked(["我的包裹", "夜里太亮"])) == ["调光"]
    classifier = fit_cold_start(TASK, NOTHING, VECTORS)
    alone = classifier.predict(asked("物流")).probabilities
    with_empty_turns = classifier.predict(asked(["", "物流"])).probabilities
    assert alone == pytest.approx(with_empty_turns)


def test_one_line_of_a_long_page_is_enough():
    around = [f"第{n}行文字" for n in range(30)]
    assert told(page(*around[:15], "我的包裹", *around[15:])) == ["物流"]
    assert told(page(*around[:15], "物流", *around[15:], vectors=None)) == ["物流"]


def test_unlabelled_samples_tell_what_samples_have_in_common():
    """Every sample asks ("请问"), and one of the labels is about asking."""
    task = Task("shop", (Label("客服", "请问"), Label("物流", "我的包裹")))
    table = asked("请问请问请问，包裹")
    assert told(table, task) == ["客服"]
    assert told(table, task, asked(*["请问", "请问请问", "请问包裹"] * 40)) == ["物流"]


def test_unlabelled_samples_move_labels_half_the_way_to_being_equally_frequent():
    """As far as there are many of them: 97 of them count as if each of the 3 labels had been seen once besides."""
    mostly = asked(*["物流"] * 60, *["退款"] * 30, *["调光"] * 7, vectors=None)
    classifier = fit_cold_start(TASK, mostly, None)
    assert classifier.offsets.sum() == pytest.approx(0)
    assert classifier.offsets[1] < classifier.offsets[0] < classifier.offsets[2]
    all_the_way = classifier.offsets / (0.5 * 97 / 100)
    assert softmax(classifier.scores(mostly) + all_the_way, axis=1).mean(axis=0) == pytest.approx(
        [1 / 3] * 3, abs=0.01
    )


def test_a_saved_classifier_gives_the_same_probabilities(tmp_path):
    table = asked("把钱还给我", ["我的包裹", "客服：太亮"], "")
    classifier = fit_cold_start(TASK, table, VECTORS)
    classifier.save(tmp_path)
    loaded = ColdStartClassifier.load(tmp_path, 3)
    assert loaded.predict(table).probabilities.tolist() == classifier.predict(table).probabilities.tolist()
    with pytest.raises(KdslError, match=r"cold_start\.npz: damaged or not the labels' names and descriptions"):
        ColdStartClassifier.load(tmp_path, 2)


@pytest.mark.parametrize(
    ("now", "told"),
    [(None, "was concepts in training and is none now"), (SentenceVectors(Encoder("other")), "and is other now")],
)
def test_another_encoder_than_in_training_is_refused(now, told):
    classifier = fit_cold_start(TASK, NOTHING, VECTORS)
    with pytest.raises(KdslError, match=rf"^encoder: .*{told}; set it back, or"):
        classifier.predict(asked("退款", vectors=now))


def test_what_was_trained_without_an_encoder_goes_without_one_that_is_there_now():
    classifier = fit_cold_start(TASK, NOTHING, None)
    texts = ["什么时候退款", "把钱还给我"]
    wanted = classifier.predict(asked(*texts, vectors=None)).probabilities
    assert classifier.predict(asked(*texts)).probabilities.tolist() == wanted.tolist()


def test_where_the_encoder_is_not_installed_characters_tell():
    lacking = SentenceVectors(Missing())
    table = asked("什么时候退款", vectors=lacking)
    assert told(table, TASK, table) == ["退款"]


def test_what_cannot_be_told_is_equally_likely():
    predicted = fit_cold_start(TASK, NOTHING, VECTORS).predict(asked("", "#")).probabilities
    assert predicted == pytest.approx(np.full((2, 3), 1 / 3))
    assert fit_cold_start(TASK, NOTHING, VECTORS).predict(NOTHING).probabilities.shape == (0, 3)
    one = Task("one", (Label("退款"),))
    assert fit_cold_start(one, NOTHING, VECTORS).predict(asked("退款")).probabilities.tolist() == [[1.0]]


def test_it_explains_by_the_label_that_the_sample_is_most_like():
    classifier = fit_cold_start(TASK, NOTHING, VECTORS)
    described = classifier.explain(asked("把钱还给我").rows[0]).described
    assert described is not None
    assert described.label == 0
    assert 0 < described.likeness <= 1
    assert classifier.explain(asked("").rows[0]).described is None


@given(st.lists(st.text(max_size=20), max_size=4), st.lists(st.text(max_size=20), max_size=3))
def test_whatever_texts_come_probabilities_are_probabilities(texts, unlabelled):
    predicted = fit_cold_start(TASK, asked(*unlabelled), VECTORS).predict(asked(*texts)).probabilities
    assert predicted.shape == (len(texts), 3)
    assert (predicted > 0).all()
    assert predicted.sum(axis=1) == pytest.approx(1)


def test_beside_a_classifier_that_knows_few_samples_the_names_of_the_labels_still_count(tmp_path):
    """Words that no labelled sample has, and a meaning that a label's name has."""
    texts = ["把钱还我", "退款", "包裹呢", "物流", "退款吧", "我的包裹", "太亮", "调光"]
    labels = np.array([0, 0, 1, 1, 0, 1, 2, 2])
    beside = EmbeddedTrainer(TASK, Embedded(("linear", "cold_start"))).fit(asked(*texts), labels, 3)
    new = asked("快把钱还来", "包裹到哪", "光太亮啦")
    assert beside.predict(new).probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    assert beside.ensemble.weights[1] > 0.1
    beside.save(tmp_path)
    assert not is_cold(tmp_path)
    loaded = EmbeddedClassifier.load(tmp_path, Embedded(("linear", "cold_start")), 3)
    assert loaded.predict(new).probabilities.tolist() == beside.predict(new).probabilities.tolist()
