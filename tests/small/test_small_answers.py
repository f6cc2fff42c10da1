"""What the trained small model writes, sees, describes and judges, on pages it was not trained on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_qwen2vl
from counting_model import CountingModel
from small_world import (
    BAR,
    CAPTION,
    COLOUR,
    LABELS,
    QUESTIONS,
    SYNONYMS,
    TASK,
    TERMS,
    WISHES,
    has,
    makes_sense,
    said,
    sees,
)

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars, read_captions
from kdsl.fields.table import FieldTable
from kdsl.fields.vqa import read_answers
from kdsl.mining.proposer import BOOST
from kdsl.mining.vocabulary import build_vocabulary
from kdsl.sample import Sample, Turn
from kdsl.small.captions import fill_captions
from kdsl.small.proposer import SmallProposer
from kdsl.small.questions import answer_questions, fit_thresholds, write_questions
from kdsl.small.synonyms import write_synonyms
from kdsl.small.terms import write_terms
from kdsl.small.validator import SmallValidator
from kdsl.small.vqa_filler import AnswerFiller, TaskQuestions
from kdsl.small.wording import CHINESE, wording_of
from kdsl.vlm.conversation import pictures
from kdsl.vlm.usage import CallBudget

N = 24


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for i in range(N):
        tiny_qwen2vl.draw_page(folder / f"{i}.png", LABELS[i % 4][0], has_bar(i), 1000 + i)
    return folder


def has_bar(i: int) -> bool:
    return i % 3 == 0


SAMPLES = [
    Sample(f"s{i}", "shop", (Turn("user", said(name[1])),), (f"{i}.png",), name)
    for i, name in enumerate(LABELS[i % 4] for i in range(N))
]
IMAGES = [f"{i}.png" for i in range(N)]
INDEX = np.arange(N) % 4


def table(yes: dict[str, Sequence[bool]] | None = None) -> FieldTable:
    """With these answers to visual questions."""
    answers = {f"{i}.png": {q: 0.9 if flags[i] else 0.1 for q, flags in (yes or {}).items()} for i in range(N)}
    return FieldTable(SAMPLES, Sidecars(answers=answers))


def test_questions_are_written_from_labels_and_images(small_model, pages: Path) -> None:
    written = write_questions(small_model, TASK, SAMPLES, pages, 2)
    assert (written.questions, written.dropped) == ([COLOUR, BAR], 0)


def test_what_is_no_question_is_dropped_and_counted(pages: Path) -> None:
    reply = "1. 图中有红色吗？\n2、“图中有黑条吗？”\n- 图中有字吗？\n这是一个页面\n" + "长" * 80 + "吗？"
    model = CountingModel(reply=lambda conversation: reply)
    written = write_questions(model, TASK, SAMPLES, pages, 2)
    assert written.questions == [COLOUR, BAR]
    assert written.dropped == 3 * len(LABELS)
    assert all(len(pictures(conversation)) == 3 for conversation in model.asked)
    assert write_questions(model, TASK, [], pages, 2).questions == []


def test_answers_are_right_on_new_pages_and_kept(small_model, pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    outcome = answer_questions(small_model, CHINESE, IMAGES, [COLOUR, BAR], pages, path)
    fit_thresholds(small_model.identity, dict.fromkeys((COLOUR, BAR), IMAGES), path)
    assert (outcome.images, outcome.problems) == (N, {})
    seen = read_answers(path).probabilities()
    right = {COLOUR: [LABELS[i % 4][0] == "红" for i in range(N)], BAR: [has_bar(i) for i in range(N)]}
    for question, truth in right.items():
        assert np.mean([(seen[f"{i}.png"][question] >= 0.5) == truth[i] for i in range(N)]) >= 0.9
    before = path.read_bytes()
    assert answer_questions(small_model, CHINESE, IMAGES, [COLOUR, BAR], pages, path).images == 0
    fit_thresholds(small_model.identity, dict.fromkeys((COLOUR, BAR), IMAGES), path)
    assert path.read_bytes() == before


def test_only_what_is_missing_is_asked(pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    first = CountingModel()
    answer_questions(first, CHINESE, IMAGES[:5], ["甲吗？"], pages, path)
    path.write_bytes(path.read_bytes()[:-9])  # killed while it wrote
    second = CountingModel()
    answer_questions(second, CHINESE, IMAGES[:6], ["甲吗？", "乙吗？"], pages, path)
    assert len(first.asked) == 5
    assert len(second.asked) == 4 + 2 * 2
    other = CountingModel(identity="another model")
    answer_questions(other, CHINESE, IMAGES[:6], ["甲吗？"], pages, path)
    assert len(other.asked) == 6


def test_an_image_that_cannot_be_read_is_told_and_the_others_are_answered(pages: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    for image in IMAGES[:3]:
        (tmp_path / image).write_bytes((pages / image).read_bytes())
    (tmp_path / "up").symlink_to("..")
    images = [*IMAGES[:2], "broken.png", "gone.png", f"up/{tmp_path.name}x.png", IMAGES[2]]
    path = tmp_path / "questions.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CountingModel, "_look", _refuse_what_is_no_png)
        outcome = answer_questions(CountingModel(), CHINESE, images, ["甲吗？"], tmp_path, path)
    assert outcome.images == 3
    assert set(outcome.problems) == set(images[2:5])
    assert "leads outside" in outcome.problems[images[4]]
    assert outcome.problems["gone.png"] == "no such image file"
    assert set(read_answers(path).answers) == set(IMAGES[:3])


def _refuse_what_is_no_png(self: CountingModel, conversations) -> None:
    for conversation in conversations:
        for picture in pictures(conversation):
            if not picture.path.exists() or picture.path.suffix != ".png" or picture.path.stat().st_size < 20:
                raise KdslError(f"{picture.path}: not an image")


def test_an_error_that_no_image_explains_passes_through(pages: Path, tmp_path: Path) -> None:
    def fail(conversation) -> float:
        raise KdslError("http://localhost: the server does not answer")

    with pytest.raises(KdslError, match="the server does not answer"):
        answer_questions(CountingModel(yes=fail), CHINESE, IMAGES[:2], ["甲吗？"], pages, tmp_path / "q.jsonl")


def about(word: str):
    """Whether a conversation holds the word."""
    return lambda conversation: word in str(conversation)


def test_what_gets_neither_yes_nor_no_is_not_kept_but_told_and_asked_again(pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    model = CountingModel(evades=about("乙吗"))
    outcome = answer_questions(model, CHINESE, IMAGES[:3], ["甲吗？", "乙吗？"], pages, path)
    assert outcome.images == 3
    told = "1 questions got neither yes nor no, but for example '看情况'"
    assert outcome.problems == dict.fromkeys(IMAGES[:3], told)
    assert [set(read_answers(path).answers[image]) for image in IMAGES[:3]] == [{"甲吗？"}] * 3
    willing = CountingModel()
    answer_questions(willing, CHINESE, IMAGES[:3], ["甲吗？", "乙吗？"], pages, path)
    assert len(willing.asked) == 3


def test_a_model_that_never_says_yes_or_no_is_an_error_and_nothing_is_kept(pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    with pytest.raises(
        KdslError, match=r"^counting: none of its 3 answers is yes or no, for example '看情况'; name a"
    ):
        answer_questions(CountingModel(evades=lambda _: True), CHINESE, IMAGES[:3], ["甲吗？"], pages, path)
    assert read_answers(path).answers == {}


def test_a_predicted_image_whose_question_is_evaded_has_no_answer(pages: Path, tmp_path: Path, caplog) -> None:
    sidecars, path = Sidecars(), tmp_path / "q.jsonl"
    questions = {"shop": TaskQuestions(CHINESE, ("甲吗？", "乙吗？"))}
    model = CountingModel(evades=about("乙吗"))
    filler = AnswerFiller(sidecars, questions, pages, path, lambda: model)
    filler.fill(SAMPLES[:1])
    filler.tell()
    assert set(sidecars.answers["0.png"]) == set(read_answers(path).answers["0.png"]) == {"甲吗？"}
    assert "1 images have no answer and count as no, the first being 0.png (1 questions got neither" in caplog.text


def test_without_keeping_answers_stay_in_memory_and_problems_are_told_once(
    pages: Path, tmp_path: Path, caplog
) -> None:
    sidecars, path = Sidecars(), tmp_path / "q.jsonl"
    questions = {"shop": TaskQuestions(CHINESE, ("甲吗？", "乙吗？"))}
    filler = AnswerFiller(sidecars, questions, pages, path, lambda: CountingModel(evades=about("乙吗")), keeping=False)
    filler.fill(SAMPLES[:1])
    assert set(sidecars.answers["0.png"]) == {"甲吗？"} and not path.exists()
    filler.tell()
    filler.tell()
    assert len(caplog.records) == 1
    filler.fill(SAMPLES[:1])  # asked again by now
    filler.tell()
    assert len(caplog.records) == 2


def test_captions_are_written_once(small_model, pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"image": "0.png", "caption": "已有", "model": "another"}\n', "utf-8")
    outcome = fill_captions(lambda: small_model, "tiny", CHINESE, IMAGES, pages, path)
    assert (outcome.described, outcome.described_before, outcome.problems) == (N - 1, 1, {})
    captions = read_captions(path)
    assert captions.pop("0.png") == "已有"
    assert np.mean([captions[f"{i}.png"] == CAPTION.format(LABELS[i % 4][0]) for i in range(1, N)]) >= 0.9
    outcome = fill_captions(lambda: pytest.fail("loaded"), "tiny", CHINESE, IMAGES, pages, path)
    assert outcome.described == 0


def test_terms_are_kept_where_samples_hold_them(small_model, pages: Path) -> None:
    written = write_terms(small_model, TASK, table(), INDEX, pages, CallBudget(99))
    assert sorted(written.grounded) == ["换货", "退货"]
    assert written.dropped == 4, "退钱 and 换钱, which nobody says, for two labels each"
    assert written.synonyms == []


def test_synonyms_that_samples_hold_become_candidates() -> None:
    samples = [Sample(word, "shop", (Turn("user", word),)) for word in ("亮度", "明暗")]

    def reply(conversation) -> str:
        return "亮度" if "写8个" in str(conversation[0].pieces[-1]) else "1. 明暗\n2. 光线强弱\n3. 亮度"

    labels = np.array([0, 1])
    written = write_terms(CountingModel(reply), TASK, FieldTable(samples, Sidecars()), labels, None, CallBudget(99))
    assert (written.grounded, written.synonyms, written.dropped) == (["亮度"], ["明暗"], 1)


def test_synonyms_of_a_term(small_model) -> None:
    asked = [(label, f"{TASK.labels[label].name[1]}货") for label in range(4)]
    found = write_synonyms(small_model, TASK, asked, CallBudget(3))
    assert found == {(label, term): [SYNONYMS[term[0]]] for label, term in asked[:3]}


@pytest.fixture(scope="module")
def vocabulary():
    red = [LABELS[i % 4][0] == "红" for i in range(N)]
    return build_vocabulary(table({COLOUR: red, BAR: [has_bar(i) for i in range(N)]}), known_terms=TERMS)


def proposer(model, images: Path | None, calls: int = 99) -> SmallProposer:
    return SmallProposer(model, "tiny", table(), INDEX, images, CallBudget(calls))


def test_the_prior_prefers_what_makes_sense(small_model, pages: Path, vocabulary) -> None:
    parts = np.ones((1, N), dtype=bool)
    plain = proposer(CountingModel(), pages, calls=0)
    for label, name in enumerate(LABELS):
        gain = proposer(small_model, pages).prior(TASK, label, vocabulary, parts)[0]
        gain -= plain.prior(TASK, label, vocabulary, parts)[0]  # less what the label's name says
        right = [i for i, c in enumerate(vocabulary.conditions) if makes_sense(name, c) and gain[i] > 0]
        wrong = [i for i, c in enumerate(vocabulary.conditions) if not makes_sense(name, c)]
        assert right and max(gain[right]) > max(gain[wrong], default=0) + 0.2
        assert gain[[c.question for c in vocabulary.conditions].index(BAR)] < max(gain[right]) / 2


def test_each_part_is_shown_its_own_samples_alone(pages: Path, vocabulary) -> None:
    parts = np.stack([np.ones(N, dtype=bool), np.arange(N) >= 12, np.arange(N) < 12])
    model = CountingModel()
    prior = proposer(model, pages).prior(TASK, 0, vocabulary, parts)
    assert prior.shape == (3, len(vocabulary)) and prior.min() >= 1 and prior.max() <= BOOST
    nothing, _, late, early = ({int(p.path.stem) for p in pictures(c)} for c in model.asked)
    assert nothing == set() and late and early
    assert min(late) >= 12 > max(early)


def test_beyond_the_budget_the_prior_is_lexical(pages: Path, vocabulary) -> None:
    parts = np.ones((3, N), dtype=bool)
    model = CountingModel()
    short = proposer(model, pages, calls=3)
    prior = short.prior(TASK, 0, vocabulary, parts)
    assert model.asked == []
    np.testing.assert_array_equal(prior, np.repeat(short._lexical.prior(TASK, 0, vocabulary), 3, axis=0))


def test_rules_that_make_sense_are_judged_more_probable(small_model) -> None:
    rules = [(has(f"{wish}货"), sees(question)) for wish in WISHES for question in QUESTIONS]
    judged = [(label, rule) for label in range(len(LABELS)) for rule in rules]
    sense = SmallValidator(small_model, CallBudget(99)).judge(TASK, judged)
    right = [all(makes_sense(LABELS[label], condition) for condition in rule) for label, rule in judged]
    good = [p for p, each in zip(sense, right, strict=True) if each]
    bad = [p for p, each in zip(sense, right, strict=True) if not each]
    assert len(good) == 4 and min(good) > np.mean(bad) + 0.3


def test_a_rule_on_which_the_model_says_neither_yes_nor_no_is_not_judged() -> None:
    rules = [(0, (has("退"),)), (1, (has("换"),))]
    model = CountingModel(evades=about("有“退”"))
    assert SmallValidator(model, CallBudget(9)).judge(TASK, rules) == [None, pytest.approx(0.75)]


def test_a_part_to_which_the_model_names_no_condition_keeps_the_lexical_prior(pages: Path, vocabulary) -> None:
    parts = np.array([[True] * N, [i < N // 2 for i in range(N)]])
    willing, evading = (
        proposer(CountingModel(evades=lambda _, evades=evades: evades), pages).prior(TASK, 0, vocabulary, parts)
        for evades in (False, True)
    )
    assert np.array_equal(evading, proposer(CountingModel(), pages, calls=0).prior(TASK, 0, vocabulary, parts))
    assert not np.array_equal(evading, willing)


def test_beyond_the_budget_rules_are_not_judged() -> None:
    rules = [(0, (has("退"),)), (1, (has("换"),))]
    assert SmallValidator(CountingModel(), CallBudget(1)).judge(TASK, rules) == [pytest.approx(0.75), None]


def test_an_english_task_is_asked_in_english() -> None:
    from kdsl.sample import Label, Task

    task = Task("t", (Label("card_lost", "The card is gone"),))
    model = CountingModel()
    SmallValidator(model, CallBudget(9)).judge(task, [(0, (has("lost"), sees("Is there a card?", negated=True)))])
    assert str(model.asked[0][0].pieces[0]) == (
        'If the user\'s last message contains "lost" and it is not so that the answer to "Is there a card?" is yes, '
        'then the class is "card lost" (The card is gone). Does this rule make sense? Answer yes or no only.'
    )
    assert wording_of(task).options == ("yes", "no")
