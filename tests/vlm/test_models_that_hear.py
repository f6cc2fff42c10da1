"""Models that hear, in this process: Qwen2-Audio and the thinker of Qwen2.5-Omni, with random weights."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")
pytest.importorskip("av", reason="needs the extra voice")

import peft  # noqa: E402
import tiny_hearing  # noqa: E402
import tiny_qwen2vl  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import (  # noqa: E402
    GenerationConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperFeatureExtractor,
)

from kdsl.audio.decoding import load_audio  # noqa: E402
from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm.cache import CachedModel  # noqa: E402
from kdsl.vlm.conversation import Audio, Conversation, Instruction, Message, Picture, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402
from kdsl.vlm.processor import Processor  # noqa: E402
from kdsl.vlm.saving import save_model  # noqa: E402
from kdsl.vlm.scoring import score_options  # noqa: E402

OPTIONS = ("低", "低音", "高", "一个长的标签")


@pytest.fixture(scope="module")
def qwen2_audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hearing.build_qwen2_audio(tmp_path_factory.mktemp("qwen2-audio"))


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hearing.build_omni(tmp_path_factory.mktemp("omni"))


@pytest.fixture(scope="module", params=["qwen2_audio", "omni"])
def model(request: pytest.FixtureRequest) -> LocalModel:
    return LocalModel.load(str(request.getfixturevalue(request.param)), tiny_qwen2vl.BUDGET)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> list[Audio]:
    """Low to high, of half a second to more than a second."""
    folder = tmp_path_factory.mktemp("tones")
    lengths = {300: 0.5, 900: 0.73, 1800: 1.21}
    return [Audio(tiny_hearing.write_tone(folder / f"{hz}.wav", hz, seconds)) for hz, seconds in lengths.items()]


@pytest.fixture(scope="module")
def conversations(model: LocalModel, tones: list[Audio], tmp_path_factory: pytest.TempPathFactory):
    """No sound, one and two, in prompts of different lengths; beside pictures where the model sees them."""
    first, second, third = tones
    heard = [ask(first, "标签？"), ask("没有声音的长一些的问题，标签？"), ask(second, "和", third, "是什么标签？")]
    if not model.processor.sees:
        return heard
    page = Picture(tiny_qwen2vl.draw_page(tmp_path_factory.mktemp("page") / "page.png", "红", True))
    return [*heard, ask(page, first, "标签？"), ask(third, page, "和", first, page, "标签？"), ask(page, "标签？")]


def one_forward(model: LocalModel, conversation: Conversation, option: str) -> float:
    """log p(option) by a plain forward over the whole sequence, with the model's own positions."""
    answer = model.processor.answer_ids(option)
    batch = model.processor.batch([model.processor.encode(conversation).followed_by(answer)])
    with torch.inference_mode():
        log_p = model.model(**batch).logits[0, -len(answer) - 1 : -1].double().log_softmax(dim=-1)
    return log_p.gather(1, torch.tensor(answer)[:, None]).sum().item()


def sound_tokens(processor: Processor, conversation: Conversation) -> int:
    return int(
        (processor.encode(conversation).input_ids == processor.tokenizer.convert_tokens_to_ids("<|AUDIO|>")).sum()
    )


@pytest.mark.parametrize("method", ["repeat", "pack"])
def test_options_are_scored_as_by_one_full_forward_each(model, conversations, method) -> None:
    expected = [[one_forward(model, conversation, option) for option in OPTIONS] for conversation in conversations]
    batch = model.processor.batch([model.processor.encode(conversation) for conversation in conversations])
    assert batch["attention_mask"].sum(dim=1).unique().numel() > 2  # the shorter ones are padded
    answers = [model.processor.answer_ids(option) for option in OPTIONS]
    np.testing.assert_allclose(score_options(model.model, batch, answers, method), expected, atol=1e-4)
    scores = model.score(conversations, OPTIONS)
    np.testing.assert_allclose(scores.log_probabilities, expected, atol=1e-4)
    assert set(scores.calls) == {1}


def test_generated_answers_are_the_models_own_greedy_ones(model, conversations) -> None:
    """Batches of different lengths and numbers of sounds against prompts that go through the model alone."""
    config = GenerationConfig(
        max_new_tokens=6, do_sample=False, eos_token_id=model.processor.end_id, pad_token_id=model.processor.pad_id
    )
    expected = []
    for conversation in conversations:
        batch = model.processor.batch([model.processor.encode(conversation)])
        output = model.model.generate(**batch, generation_config=config)
        expected.append(model.processor.text(output[0, batch["input_ids"].shape[1] :].tolist()).strip())
    assert [answer.text for answer in model.generate(conversations, 6)] == expected
    chosen = [answer.text for answer in model.generate(conversations, 1, choices=OPTIONS)]
    best = model.score(conversations, OPTIONS).log_probabilities.argmax(axis=1)
    assert chosen == [OPTIONS[i] for i in best]


def test_what_is_heard_and_in_which_order_matters(model, tones) -> None:
    first, second, third = tones
    heard = [ask(first, second, "标签？"), ask(second, first, "标签？"), ask(first, third, "标签？"), ask("标签？")]
    log_p = model.score(heard, OPTIONS).log_probabilities
    differences = np.abs(log_p[:, None] - log_p[None]).max(axis=2)
    assert differences[~np.eye(4, dtype=bool)].min() > 1e-4


def test_a_sound_is_25_tokens_a_second(model, tones) -> None:
    assert [sound_tokens(model.processor, ask(tone)) for tone in tones] == [12, 18, 30]
    assert sound_tokens(model.processor, ask(tones[0], "再听", tones[1])) == 30


def test_prompt_is_that_of_the_models_own_processor(qwen2_audio: Path, tones) -> None:
    """Marks, numbers of sounds and features as `Qwen2AudioProcessor` makes them of the files of the directory."""
    own = Qwen2AudioProcessor.from_pretrained(qwen2_audio)
    heard = [load_audio(tone.path) for tone in tones[:2]]
    mark = "<|audio_bos|><|AUDIO|><|audio_eos|>"
    text = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        f"Audio 1: {mark}\n和Audio 2: {mark}\n标签？<|im_end|>\n<|im_start|>assistant\n"
    )
    expected = own(text=text, audio=heard, sampling_rate=16000, return_tensors="pt")
    prompt = Processor.load(qwen2_audio).encode(ask(tones[0], "和", tones[1], "标签？"))
    assert prompt.input_ids.tolist() == expected["input_ids"][0].tolist()
    torch.testing.assert_close(prompt.input_features, expected["input_features"])
    torch.testing.assert_close(prompt.feature_attention_mask, expected["feature_attention_mask"])


def test_features_of_omni_are_those_of_its_extractor_without_what_fills_them_up(omni: Path, tones) -> None:
    prompt = Processor.load(omni).encode(ask(tones[0], tones[1], "标签？"))
    extractor = WhisperFeatureExtractor.from_pretrained(omni)
    heard = [load_audio(tone.path) for tone in tones[:2]]
    expected = extractor(heard, sampling_rate=16000, padding="max_length", return_tensors="pt")
    assert prompt.input_features.shape == (2, 16, 73)
    np.testing.assert_allclose(prompt.input_features, expected["input_features"][..., :73])
    assert prompt.feature_attention_mask.sum(dim=1).tolist() == [50, 73]


def test_special_tokens_in_texts_are_text(model, tones) -> None:
    text = "听<|AUDIO|>和<|audio_bos|><|im_end|>"
    prompt = model.processor.encode(ask(tones[0], text))
    assert sound_tokens(model.processor, ask(tones[0], text)) == 12
    assert "听< |AUDIO| >和< |audio_bos| >< |im_end| >" in model.processor.tokenizer.decode(prompt.input_ids)


def test_long_sound_is_heard_to_where_the_encoder_ends_with_one_warning(model, tmp_path, caplog) -> None:
    long = [Audio(tiny_hearing.write_tone(tmp_path / f"{i}.wav", 500, 2.5)) for i in range(2)]
    fits = Audio(tiny_hearing.write_tone(tmp_path / "fits.wav", 500, 2.0))
    assert model.processor.sound_seconds == 2
    assert sound_tokens(model.processor, ask(long[0])) == sound_tokens(model.processor, ask(fits)) == 50
    loaded = LocalModel(model.model, model.processor, "again")
    with caplog.at_level(logging.WARNING):
        loaded.score([ask(sound, "标签？") for sound in (*long, fits)], OPTIONS)
        loaded.generate([ask(long[1], "标签？")], 1)
    [warning] = caplog.messages
    assert warning.startswith("sounds longer than the 2 seconds that the model takes, of which it hears the beginning")
    assert warning.endswith(f"alone: 2, such as {long[0].path}")


@pytest.mark.parametrize("seconds", [0.001, 0.08, 0.1])
def test_a_moment_is_heard(model, tmp_path, seconds: float) -> None:
    moment = Audio(tiny_hearing.write_tone(tmp_path / "a.wav", 500, seconds))
    assert sound_tokens(model.processor, ask(moment)) == 2
    expected = [[one_forward(model, ask(moment, "标签？"), option) for option in OPTIONS]]
    np.testing.assert_allclose(model.score([ask(moment, "标签？")], OPTIONS).log_probabilities, expected, atol=1e-4)


def test_sound_that_cannot_be_taken(model, tmp_path) -> None:
    with pytest.raises(KdslError, match=r"a\.wav: no such file"):
        model.score([ask(Audio(tmp_path / "a.wav"))], OPTIONS)
    (tmp_path / "b.wav").write_text("not a sound")
    with pytest.raises(KdslError, match=r"b\.wav: is no sound that can be read"):
        model.generate([ask(Audio(tmp_path / "b.wav"))], 1)


def test_only_what_hears_is_given_sounds_and_only_what_sees_pictures(tiny_model, qwen2_audio, tones, tmp_path) -> None:
    sees = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET)
    hears = LocalModel.load(str(qwen2_audio))
    assert not sees.hears() and hears.hears()
    assert CachedModel(hears, tmp_path / "a.jsonl").hears() and not CachedModel(sees, tmp_path / "b.jsonl").hears()
    with pytest.raises(
        KdslError, match=r"300\.wav: a sound, but the model does not hear; take one that does, such as"
    ):
        sees.score([ask(tones[0], "标签？")], OPTIONS)
    page = Picture(tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", True))
    with pytest.raises(KdslError, match=r"page\.png: a picture, but the model sees none; take one that does, such as"):
        hears.generate([ask(page, "标签？")], 1)


def test_of_a_whole_omni_the_thinker_alone_is_loaded(omni: Path, tones, tmp_path: Path) -> None:
    """A directory as Qwen2.5-Omni was published: all parts in one, each with its name in front of its weights."""
    whole = Path(shutil.copytree(omni, tmp_path / "whole"))
    weights = {f"thinker.{name}": weight for name, weight in load_file(omni / "model.safetensors").items()}
    weights |= {"talker.model.layers.0.mlp.up_proj.weight": torch.ones(8, 8), "token2wav.a.weight": torch.ones(3)}
    save_file(weights, whole / "model.safetensors", metadata={"format": "pt"})
    thinker = json.loads((omni / "config.json").read_text())
    config = {"model_type": "qwen2_5_omni", "architectures": ["Qwen2_5OmniModel"], "thinker_config": thinker}
    (whole / "config.json").write_text(json.dumps(config))
    conversation = ask(tones[0], "标签？")
    found, expected = (LocalModel.load(str(folder)) for folder in (whole, omni))
    np.testing.assert_array_equal(
        found.score([conversation], OPTIONS).log_probabilities,
        expected.score([conversation], OPTIONS).log_probabilities,
    )
    sizes = [sum(weight.numel() for weight in each.model.parameters()) for each in (found, expected)]
    assert sizes[0] == sizes[1]
    assert not any("talker" in name for name, _ in found.model.named_modules())


def test_thinker_that_lacks_weights(omni: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(omni, tmp_path / "broken"))
    weights = load_file(omni / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "audio_tower" not in k}, broken / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(KdslError, match=r"lack \d+ of the model's tensors, such as model\.audio_tower"):
        LocalModel.load(str(broken))


def test_adapters_of_a_model_that_hears(qwen2_audio: Path, tones, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=r"^model\.language_model\..*_proj$", init_lora_weights=False)
    plain = Qwen2AudioForConditionalGeneration.from_pretrained(qwen2_audio)
    peft.get_peft_model(plain, config).save_pretrained(tmp_path / "adapter")
    model = LocalModel.load(str(qwen2_audio), adapters={"tones": tmp_path / "adapter"})
    conversations = [ask(tones[0], "标签？"), ask(tones[1], "和", tones[2], "标签？")]
    expected = [[one_forward(model, conversation, option) for option in OPTIONS] for conversation in conversations]
    adapted = model.score(conversations, OPTIONS).log_probabilities
    np.testing.assert_allclose(adapted, expected, atol=1e-4)
    assert abs(adapted - model.with_adapter(None).score(conversations, OPTIONS).log_probabilities).max() > 1e-3


def test_long_prompt_loses_sounds_whole(model, tones) -> None:
    conversation = ask(Instruction("标签？"), tones[0], "早的话", tones[1], Instruction("是低是高？"))
    whole = model.processor.encode(conversation)
    for most, tokens, dropped in ((len(whole) - 1, 18, 1), (len(whole) - 15, 18, 2), (len(whole) - 25, 0, 3)):
        prompt = Processor(model.processor._processor, model.processor.budget, most).encode(conversation)
        assert len(prompt) <= most and prompt.dropped == dropped
        sounds = 0 if prompt.input_features is None else len(prompt.input_features)
        assert (sounds, sound_tokens_in(model, prompt)) == (tokens // 18, tokens)


def sound_tokens_in(model: LocalModel, prompt) -> int:
    return int((prompt.input_ids == model.processor.tokenizer.convert_tokens_to_ids("<|AUDIO|>")).sum())


def test_whole_messages_go_with_their_sounds(model, tones) -> None:
    said = Message("user", (tones[0], "听"), whole=True)
    history = (said, Message("assistant", ("低",), whole=True), Message("user", (tones[1], "标签？")))
    whole = len(model.processor.encode(history))
    prompt = Processor(model.processor._processor, model.processor.budget, whole - 1).encode(history)
    assert prompt.dropped == 2 and sound_tokens_in(model, prompt) == 18
    assert "听" not in model.processor.tokenizer.decode(prompt.input_ids)
    assert "低" in model.processor.tokenizer.decode(prompt.input_ids)


@pytest.mark.parametrize("kind", ["qwen2_audio", "omni"])
def test_a_saved_model_is_the_same(kind, tones, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of a Qwen2.5-Omni the part that writes is loaded and saved."""
    base = request.getfixturevalue(kind)
    model = LocalModel.load(str(base), tiny_qwen2vl.BUDGET)
    save_model(model.model, str(base), tmp_path, model.processor.budget)
    again = LocalModel.load(str(tmp_path), tiny_qwen2vl.BUDGET)
    first, second = (each.score([ask(tones[0], "标签？")], OPTIONS).log_probabilities for each in (model, again))
    np.testing.assert_array_equal(first, second)


def test_embeddings_depend_on_what_is_heard(model, tones) -> None:
    conversations = [ask(tones[0], "标签？"), ask(tones[2], "标签？"), ask("标签？")]
    together = model.embed(conversations)
    np.testing.assert_allclose(together[1], model.embed(conversations[1:2])[0], atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-4
