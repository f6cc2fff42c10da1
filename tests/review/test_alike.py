from concept_encoder import ConceptEncoder, concept_vectors

from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.review.alike import MOST_ALIKE, Alike, Likeness
from kdsl.sample import Sample, Turn


def said(id: str, text: str, *images: str) -> Sample:
    return Sample(id, "t", (Turn("user", text), Turn("agent", "请稍等")) if text else (), images, "x")


def page(image: str, text: str) -> OcrPage:
    return OcrPage(image, (100, 100), (OcrLine(text, 0.9, (1.0, 1.0, 9.0, 9.0)),))


SAMPLES = [
    said("a", "我想退钱给我自己"),
    said("b", "申请退款三天还没有到账"),
    said("c", "退款的快递谁来取件"),
    said("d", "快递到哪里了呀"),
    said("e", "", "e.png"),
    said("f", "", "f.png"),
    said("g", "我想退钱给我自己"),  # the first one once more
]
PAGES = {"e.png": page("e.png", "退款成功"), "f.png": page("f.png", "退钱详情页面")}


def found(alike: Alike) -> list[tuple[str, float]]:
    return [(each.sample.id, round(each.similarity, 2)) for each in alike.found]


def likeness(vectors: SentenceVectors | None) -> Likeness:
    return Likeness(FieldTable(SAMPLES, Sidecars(ocr=PAGES, vectors=vectors)))


def test_dialogues_are_alike_by_what_the_user_means_and_never_to_themselves_or_copies():
    alike = likeness(concept_vectors()).to(0)
    assert found(alike) == [("b", 1.0), ("c", 0.71)]
    assert alike.field == "last_user" and alike.found[0].words == "申请退款三天还没有到账"


def test_screenshots_are_alike_by_what_their_text_means():
    alike = likeness(concept_vectors()).to(4)
    assert (found(alike), alike.field) == ([("f", 1.0)], "ocr")


def test_a_dialogue_about_a_screenshot_is_compared_as_a_dialogue():
    samples = [*SAMPLES, said("h", "快递怎么样了呢", "e.png")]
    alike = Likeness(FieldTable(samples, Sidecars(ocr=PAGES, vectors=concept_vectors()))).to(7)
    assert alike.field == "last_user" and found(alike)[0] == ("d", 1.0)


def test_without_an_encoder_they_are_alike_by_their_words():
    alike = likeness(None).to(2)
    assert alike.field is None
    assert {id for id, _ in found(alike)} >= {"b", "d"}  # both share words with it


def test_an_encoder_that_is_not_installed_is_none():
    encoder = ConceptEncoder()
    encoder.lacks = "the package x"
    assert likeness(SentenceVectors(encoder)).to(0).field is None


def test_a_sample_without_any_text_has_no_meaning_to_compare():
    samples = [*SAMPLES, said("h", "")]
    table = FieldTable(samples, Sidecars(ocr=PAGES, vectors=concept_vectors()))
    assert Likeness(table).to(7).field is None


def test_no_more_than_a_few_are_found_and_texts_are_encoded_once():
    vectors = concept_vectors()
    many = [said(f"n{i}", f"{'甲乙丙丁戊己庚辛壬癸子丑'[i] * 9}退款") for i in range(12)]
    alike = Likeness(FieldTable(many, Sidecars(vectors=vectors)))
    assert len(alike.to(0).found) == MOST_ALIKE
    encoded = len(vectors.encoder.encoded)
    alike.to(1)
    assert len(vectors.encoder.encoded) == encoded == 12
