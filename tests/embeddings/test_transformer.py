"""Encoders by transformers: tiny ones of random weights, pooled as their files say."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from kdsl.embeddings import transformer
from kdsl.embeddings.load import load_encoder
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.errors import KdslError

torch = pytest.importorskip("torch", reason="the extra vlm is not installed")
TEXTS = ["我要退款", "退", "快递什么时候到，能不能快一点", "我"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that knows the characters of `TEXTS`, as transformers saves it."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoders") / "tiny-bert"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(TEXTS))), "问", "：", "x"]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture
def encoder(plain: Path, tmp_path: Path):
    """An encoder of a copy, with files of sentence-transformers."""

    def made(pooling: str | None = None, name: str = "copy", **files: object):
        folder = Path(shutil.copytree(plain, tmp_path / name))
        if pooling is not None:
            kinds = ("Transformer", "Pooling", "Normalize")
            parts = [
                {"type": f"sentence_transformers.models.{kind}", "path": "1_Pooling" * (kind == "Pooling")}
                for kind in kinds
            ]
            (folder / "modules.json").write_text(json.dumps(parts))
            (folder / "1_Pooling").mkdir()
            (folder / "1_Pooling/config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
        for file, value in files.items():
            (folder / f"{file}.json").write_text(json.dumps(value), "utf-8")
        return load_encoder(str(folder))

    return made


def hidden_states(folder: Path, text: str) -> np.ndarray:
    """[n_tokens, size] of one text, without anything of KDSL."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return model(**tokenizer([text], return_tensors="pt")).last_hidden_state[0].numpy()


@pytest.mark.parametrize(
    ("pooling", "of"),
    [
        (None, lambda hidden: hidden.mean(axis=0)),
        ("mean_tokens", lambda hidden: hidden.mean(axis=0)),
        ("cls_token", lambda hidden: hidden[0]),
        ("lasttoken", lambda hidden: hidden[-1]),
    ],
)
def test_a_text_is_what_its_tokens_pool_to(plain, encoder, pooling, of):
    found = encoder(pooling).encode(TEXTS)
    wanted = np.array([of(hidden_states(plain, text)) for text in TEXTS])
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)
    assert found.dtype == np.float32


def test_the_prompt_stands_before_each_text(plain, encoder):
    prompts = {"prompts": {"query": "问："}, "default_prompt_name": "query"}
    prompted = encoder(config_sentence_transformers=prompts).encode(TEXTS[:1])
    np.testing.assert_allclose(prompted, load_encoder(str(plain)).encode(["问：" + TEXTS[0]]), atol=1e-6)


def test_a_vector_does_not_depend_on_its_batch(encoder, monkeypatch):
    found = encoder("mean_tokens")
    together = found.encode(TEXTS)
    monkeypatch.setattr(transformer, "_TOKENS", 1)  # a text at a time
    np.testing.assert_allclose(together, found.encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize(("files", "tokens"), [({}, 62), ({"sentence_bert_config": {"max_seq_length": 10}}, 10)])
def test_long_texts_are_cut_where_the_model_ends(encoder, files, tokens):
    kept = "我" * (tokens - 2)  # beside [CLS] and [SEP]
    found = encoder(**files).encode(["我" * 100_000, kept, kept[:-1]])
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert np.abs(found[1] - found[2]).max() > 1e-4


def test_the_identity_is_that_of_weights_and_layout(encoder, plain):
    same = encoder(name="same").identity
    assert same.startswith("same:")
    assert same.partition(":")[2] == load_encoder(str(plain)).identity.partition(":")[2]
    identities = {
        encoder(name="a").identity.partition(":")[2],
        encoder("cls_token", name="b").identity.partition(":")[2],
        encoder(name="c", sentence_bert_config={"max_seq_length": 5}).identity.partition(":")[2],
    }
    assert len(identities) == 3
    moved = encoder(name="d")
    weights = Path(moved._model) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    assert moved.identity.partition(":")[2] not in identities
    assert load_encoder("org/name").identity == load_encoder("org/name").name == "org/name"


def test_qwen2_vl_encodes_by_the_mean_of_its_own_hidden_states(tiny_model):
    found = load_encoder(str(tiny_model))
    vectors = found.encode(["我要退货。", "我要换货。", "标签？"])
    assert (found.size, vectors.shape) == (64, (3, 64))
    wanted = hidden_states(tiny_model, "我要换货。").mean(axis=0)
    np.testing.assert_allclose(vectors[1], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_memory_that_does_not_suffice_halves_the_batch(encoder, monkeypatch):
    found = encoder()
    wanted = found.encode(TEXTS)
    real = transformer._Loaded.pooled

    def pooled(self, ids, pooling):
        if len(ids) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, ids, pooling)

    monkeypatch.setattr(transformer._Loaded, "pooled", pooled)
    np.testing.assert_allclose(found.encode(TEXTS), wanted, atol=1e-5)

    def never(self, ids, pooling):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformer._Loaded, "pooled", never)
    with pytest.raises(KdslError, match=r"copy: out of memory with one text of 16 tokens; take a smaller encoder"):
        found.encode(TEXTS)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 100), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be loaded"),
        (lambda folder: (folder / "modules.json").write_text('[{"type": "x.Pooling", "path": "../.."}]'), "outside"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(encoder, damage, said):
    found = encoder()
    damage(Path(found._model))
    with pytest.raises(KdslError, match=said):
        SentenceVectors(found).of(["我"])


def test_weights_that_are_not_all_there_are_refused(encoder):
    from safetensors.torch import load_file, save_file

    found = encoder()
    path = Path(found._model) / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(KdslError, match=r"lack 1 of the model's tensors, such as encoder\.layer\.1\.output"):
        found.encode(["我"])


def test_an_encoder_that_is_not_there_is_never_looked_up_on_the_hub(tmp_path):
    with pytest.raises(KdslError, match="gone: no such model directory"):
        load_encoder(str(tmp_path / "gone")).encode(["我"])


def test_what_is_not_installed_is_said(encoder, monkeypatch):
    found = encoder()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert found.lacks.startswith("torch (pip install ")
    vectors = SentenceVectors(found)
    assert vectors.identity.startswith("copy:")
    assert (vectors.of(["我"]).shape, vectors.missing) == ((1, 32), 1)
    with pytest.raises(KdslError, match="encoder: copy needs torch"):
        found.encode(["我"])
