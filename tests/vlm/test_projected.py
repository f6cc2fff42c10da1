"""A language model with a projection reads sounds as vectors among those of its words, exactly as a forward would."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import tiny_projection
import tiny_qwen2vl
import torch
from tiny_projection import QUESTION, TONES, asked, write_tones

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.pretrained import fingerprint
from kdsl.vlm.conversation import Audio, Instruction, Message, Picture, ask
from kdsl.vlm.encoder import Encoder
from kdsl.vlm.local import LocalModel
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.projected import ProjectedModel
from kdsl.vlm.projection import Projection, ProjectionCard

NAMES = [*TONES]
WIDTH, SIZE, TOKENS = 64, 32, 3


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("projected")
    tiny_qwen2vl.build(folder / "words", [*TONES, QUESTION])
    tiny_projection.write_encoder(folder / "ears")
    tiny_qwen2vl.draw_page(folder / "page.png", "红", bar=False)
    write_tones(folder, 4)
    return folder


def projection(seed: int = 0) -> Projection:
    """A random one, with vectors that are far from small."""
    torch.manual_seed(seed)
    made = Projection(SIZE, TOKENS, WIDTH)
    for numbers in (made.weight, made.marks, made.mean):
        torch.nn.init.normal_(numbers.data)
    torch.nn.init.uniform_(made.deviation, 0.5, 2)
    return made


@pytest.fixture
def model(world) -> ProjectedModel:
    local = LocalModel.load(str(world / "words"), PixelBudget(), device="cpu")
    return ProjectedModel(local, Encoder(str(world / "ears"), "cpu"), projection(), "random")


def card(world: Path, **changes) -> ProjectionCard:
    made = ProjectionCard(
        fingerprint="f" * 64, encoder="ears", encoder_weights=fingerprint(str(world / "ears")), kind="audio",
        model="words", model_weights=fingerprint(str(world / "words")), size=SIZE, tokens=TOKENS, width=WIDTH,
        training=TrainingConfig(), learning_rate=1e-3, seed=0, dialogues={}, answers={}, held_out=(), best=1,
        history=[], versions={},
    )  # fmt: skip
    return made.model_copy(update=changes)


def test_a_map_between_two_marks():
    made = Projection(2, 2, 3)
    made.weight.data = torch.tensor([[1.0, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60]])
    made.marks.data = torch.tensor([[7.0, 7, 7], [8, 8, 8]])
    made.mean.copy_(torch.tensor([1.0, 2]))
    made.deviation.copy_(torch.tensor([2.0, 4]))
    # (5 - 1) / 2 = 2 of the first row and (6 - 2) / 4 = 1 of the second one.
    assert made(torch.tensor([[5.0, 6], [1, 2]])).tolist() == [
        [[7, 7, 7], [12, 24, 36], [48, 60, 72], [8, 8, 8]],
        [[7, 7, 7], [0, 0, 0], [0, 0, 0], [8, 8, 8]],
    ]
    assert made.span == 4


def test_it_begins_with_vectors_as_large_as_those_of_words():
    features = torch.randn(500, SIZE, generator=torch.Generator().manual_seed(1)) * 3 + 40
    features[:, 5] = 9.0  # tells nothing
    words = torch.randn(100, WIDTH, generator=torch.Generator().manual_seed(2)) * 0.2
    made = Projection(SIZE, TOKENS, WIDTH)
    made.initialise(features, words, 0)
    vectors = made(features)[:, 1:-1]
    assert vectors.std().item() == pytest.approx(0.2, rel=0.1)
    assert made.marks.std().item() == pytest.approx(0.2, rel=0.2)
    torch.testing.assert_close(made.mean, features.mean(dim=0))
    assert made.deviation[5] == 1
    again, other = Projection(SIZE, TOKENS, WIDTH), Projection(SIZE, TOKENS, WIDTH)
    again.initialise(features, words, 0)
    other.initialise(features, words, 1)
    assert torch.equal(made.weight, again.weight) and not torch.equal(made.weight, other.weight)


@pytest.mark.parametrize("number", [1, 2])
def test_answers_are_scored_as_a_plain_forward_with_these_vectors_does(world, model, number):
    sounds = [Audio(world / f"{row}.wav") for row in range(number)]
    scores = model.score([ask(*sounds, Instruction(QUESTION))], NAMES)
    plain = LocalModel.load(str(world / "words"), device="cpu")
    words = plain.model.get_input_embeddings()
    text = plain.processor.encode(ask("甲", Instruction(QUESTION))).input_ids
    mark = plain.processor.answer_ids("甲", ended=False)
    start = next(i for i in range(len(text)) if text[i : i + len(mark)].tolist() == mark)
    features = torch.from_numpy(Encoder(str(world / "ears"), "cpu").vectors([sound.path for sound in sounds]))
    with torch.no_grad():
        vectors = projection()(features).flatten(0, 1)
        before, after = words(text[:start]), words(text[start + len(mark) :])
        for column, name in enumerate(NAMES):
            answer = torch.tensor(plain.processor.answer_ids(name))
            embedded = torch.cat([before, vectors, after, words(answer)])[None]
            positions = torch.arange(embedded.shape[1]).expand(3, 1, -1)
            logits = plain.model(inputs_embeds=embedded, position_ids=positions).logits[0]
            told = logits[-len(answer) - 1 : -1].log_softmax(dim=-1).gather(1, answer[:, None]).sum()
            assert scores.log_probabilities[0, column] == pytest.approx(told.item(), abs=1e-4)


def test_what_is_generated_is_what_is_most_probable(world, model):
    conversations = [asked(world / f"{row}.wav") for row in range(3)]
    best = model.score(conversations, NAMES).log_probabilities.argmax(axis=1)
    chosen = [answer.text for answer in model.generate(conversations, 4, choices=NAMES)]
    assert chosen == [NAMES[column] for column in best]
    for said, conversation in zip(model.generate(conversations, 1), conversations, strict=True):
        assert said.output_tokens == 1
        others = [name for name in NAMES if name != said.text]
        if said.text:  # one token, and the most probable one of all
            scores = model.score([conversation], [said.text, *others], ended=False)
            assert scores.log_probabilities.argmax() == 0


def test_conversations_with_and_without_sounds_go_together(world, model):
    four = [
        asked(world / "0.wav"),
        ask(Instruction(QUESTION)),
        ask(Picture(world / "page.png"), Audio(world / "1.wav"), Instruction(QUESTION)),
        ask(Audio(world / "1.wav"), "和", Audio(world / "0.wav"), Instruction(QUESTION)),
    ]
    together = model.score(four, NAMES).log_probabilities
    apart = np.concatenate([model.score([each], NAMES).log_probabilities for each in four])
    np.testing.assert_allclose(together, apart, atol=1e-4)
    assert len({tuple(row) for row in together.round(5)}) == 4
    plain = LocalModel.load(str(world / "words"), PixelBudget(), device="cpu")
    np.testing.assert_allclose(apart[1:2], plain.score(four[1:2], NAMES).log_probabilities, atol=1e-6)


def test_of_a_conversation_that_is_too_long_the_earliest_sounds_go(world, model):
    model.processor.max_tokens = 60
    turns = [
        Message(role, pieces, whole=True)
        for row in range(3)
        for role, pieces in (("user", (Audio(world / f"{row}.wav"), "那" * 5)), ("assistant", ("低",)))
    ]
    long = (*turns, Message("user", (Audio(world / "3.wav"), Instruction(QUESTION))))
    scores = model.score([long], NAMES)
    assert scores.dropped[0] > 0
    model.processor.max_tokens = 512
    rest = [model.score([long[start:]], NAMES) for start in range(1, 7)]
    same = [np.allclose(each.log_probabilities, scores.log_probabilities, atol=1e-5) for each in rest]
    assert sum(same) == 1 and not np.allclose(model.score([long], NAMES).log_probabilities, scores.log_probabilities)


def test_only_a_sound_has_ids_behind_the_vocabulary(world, model):
    n_words = model.embeddings.words.num_embeddings
    model.look_at([asked(world / "1.wav"), asked(world / "0.wav")])
    for row, name in enumerate(("1.wav", "0.wav")):
        ids = model.processor.encode(asked(world / name)).input_ids
        first = n_words + row * (TOKENS + 2)
        assert ids[ids >= n_words].tolist() == [*range(first, first + TOKENS + 2)]
    written = ask("<|projected|><|image_pad|><|im_end|>", Instruction(QUESTION))
    assert model.processor.encode(written).input_ids.max() < n_words


def test_an_encoder_of_pictures_has_them_read_as_vectors(world, tmp_path):
    eyes = Encoder(str(tiny_projection.write_eyes(tmp_path / "eyes")), "cpu")
    local = LocalModel.load(str(world / "words"), PixelBudget(), device="cpu")
    model = ProjectedModel(local, eyes, projection(), "random")
    pages = [tiny_qwen2vl.draw_page(tmp_path / f"{colour}.png", colour, bar=False) for colour in ("红", "蓝")]
    shown = [ask(Picture(page), Instruction(QUESTION)) for page in pages]
    rows = model.score(shown, NAMES).log_probabilities
    assert not np.allclose(rows[0], rows[1], atol=1e-3)
    prompt = model.processor.encode(shown[1])
    assert prompt.pixel_values is None
    assert (prompt.input_ids >= model.embeddings.words.num_embeddings).sum() == TOKENS + 2
    assert model.sees() and not model.hears()
    with pytest.raises(KdslError, match=r"0.wav: a sound, but the model does not hear"):
        model.score([asked(world / "0.wav")], NAMES)


def test_it_says_what_it_takes(model):
    assert model.hears() and model.sees()
    assert "projection random" in model.identity


def test_what_was_saved_is_loaded(world, model, tmp_path):
    model.embeddings.projection.save(tmp_path)
    card(world).save(tmp_path)
    loaded = ProjectedModel.load(str(world / "words"), str(world / "ears"), tmp_path, PixelBudget(), device="cpu")
    conversations = [asked(world / f"{row}.wav") for row in range(3)]
    np.testing.assert_array_equal(
        loaded.score(conversations, NAMES).log_probabilities, model.score(conversations, NAMES).log_probabilities
    )
    assert loaded.identity.endswith("projection " + "f" * 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_weights": "other"}, "was trained with the language model words, not .*words; call project.train"),
        ({"encoder_weights": "other"}, "was trained with the encoder ears, not .*ears; call project.train"),
        ({"tokens": 5}, "projection.safetensors: is missing, damaged or not what projection.json beside it is of"),
    ],
)
def test_a_projection_of_something_else_is_refused(world, tmp_path, changes, message):
    projection().save(tmp_path)
    card(world, **changes).save(tmp_path)
    with pytest.raises(KdslError, match=message):
        ProjectedModel.load(str(world / "words"), str(world / "ears"), tmp_path, device="cpu")


def test_without_a_projection_it_says_what_makes_one(world, tmp_path):
    with pytest.raises(KdslError, match=r"holds no projection \(projection.json is missing\); call project.train"):
        ProjectedModel.load(str(world / "words"), str(world / "ears"), tmp_path, device="cpu")
