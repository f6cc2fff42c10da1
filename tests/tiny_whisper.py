"""A Whisper of a few thousand weights, trained here to name low, high and rising tones; its files are real ones."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
SECONDS = 2
"""That it hears at once, where a real one hears 30."""
WORDS = ("low", "high", "升")
"""What its tones are called; the last one is Chinese."""
LANGUAGES = ("en", "zh")
_EXAMPLES, _STEPS, _BATCH, _RATE = 240, 200, 10, 3e-3
_SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>", "<|transcribe|>",
            "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")  # fmt: skip


def tone(word: str, rng: np.random.Generator, seconds: float = 0.4) -> NDArray[np.float32]:
    """A low, high or rising tone; pitch, loudness and noise differ each time."""
    begin, end = {"low": (300, 300), "high": (1800, 1800), "升": (400, 1600)}[word]
    pitch = np.linspace(begin, end, int(seconds * RATE)) * rng.uniform(0.9, 1.1)
    sound = rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    return (sound + rng.normal(0, 0.003, len(sound))).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * RATE), np.float32)


def said(words: Sequence[str], rng: np.random.Generator) -> NDArray[np.float32]:
    """These tones with short pauses around them."""
    parts = [silence(rng.uniform(0.05, 0.25))]
    for word in words:
        parts += [tone(word, rng, rng.uniform(0.3, 0.5)), silence(rng.uniform(0.1, 0.25))]
    return np.concatenate(parts)


def text_of(words: Sequence[str]) -> str:
    """As Whisper writes it: a space before English words, none before Chinese ones."""
    return "".join(word if word == "升" else f" {word}" for word in words)


def train_tiny_whisper(folder: Path) -> Path:
    """Write and train it; takes seconds."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    tokenizer = _tokenizer(folder)
    extractor = WhisperFeatureExtractor(feature_size=32, chunk_length=SECONDS)
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(tokenizer), num_mel_bins=32, d_model=64, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=128, decoder_ffn_dim=128,
        max_source_positions=SECONDS * 50, max_target_positions=32, dropout=0.0, begin_suppress_tokens=None,
        **{f"{name}_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>") for name in ("bos", "eos", "pad")},
        decoder_start_token_id=tokenizer.convert_tokens_to_ids("<|startoftranscript|>"),
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    rng = np.random.default_rng(0)
    features, targets = _examples(extractor, tokenizer, rng)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_STEPS)
    for _ in range(_STEPS):
        rows = rng.choice(_EXAMPLES, _BATCH, replace=False)
        loss = model(input_features=features[rows], labels=targets[rows]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    _settings(model.generation_config, tokenizer)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _examples(extractor, tokenizer, rng):
    import torch

    sounds, rows = [], []
    for _ in range(_EXAMPLES):
        words = list(rng.choice(WORDS[:2], rng.integers(1, 3))) if rng.random() < 0.7 else ["升"] * rng.integers(1, 3)
        language = "<|zh|>" if words[0] == "升" else "<|en|>"
        sounds.append(said(words, rng))
        before = ["<|startoftranscript|>", language, "<|transcribe|>", "<|notimestamps|>"]
        rows.append([
            *tokenizer.convert_tokens_to_ids(before),
            *tokenizer.encode(text_of(words), add_special_tokens=False),
            tokenizer.eos_token_id,
        ])  # fmt: skip
    features = extractor(sounds, sampling_rate=RATE, return_tensors="pt")["input_features"]
    longest = max(map(len, rows))
    # Labels are what comes behind the start token, which the model puts before them.
    targets = torch.tensor([row[1:] + [-100] * (longest - len(row)) for row in rows])
    return features, targets


def _tokenizer(folder: Path):
    from transformers import WhisperTokenizerFast
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*bytes_to_unicode().values()]
    merges = ["l o", "lo w", "Ġ low", "h i", "g h", "hi gh", "Ġ high"]
    tokens += [merge.replace(" ", "") for merge in merges]
    vocabulary = {token: place for place, token in enumerate([*tokens, *_SPECIAL])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    (folder / "normalizer.json").write_text("{}")
    tokenizer = WhisperTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL[1:])})
    return tokenizer


def _settings(settings, tokenizer) -> None:
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    settings._from_model_config = False  # else it is made of config.json again when the model is loaded
    settings.is_multilingual = True
    settings.lang_to_id = {f"<|{language}|>": ids[f"<|{language}|>"] for language in LANGUAGES}
    settings.task_to_id = {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]}
    settings.no_timestamps_token_id = ids["<|notimestamps|>"]
    settings.decoder_start_token_id = ids["<|startoftranscript|>"]
    settings.max_length = 32
    settings.suppress_tokens = settings.begin_suppress_tokens = settings.forced_decoder_ids = None
    settings.alignment_heads = [[1, 0], [1, 1]]
