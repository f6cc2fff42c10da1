"""Adapters from elsewhere: where their base lies, and answers that their trainer lets go on behind the end token."""

import json
import logging
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402

from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm.checkpoint import adapter_base  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402


def adapter_of(folder: Path, base: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}), "utf-8")
    return folder


def test_a_relative_base_is_looked_up_beside_the_adapter_and_then_here(tmp_path, monkeypatch, caplog):
    (tmp_path / "here/models/a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    adapter = adapter_of(tmp_path / "adapter", "models/a")
    assert adapter_base(adapter) == "models/a"
    assert caplog.text == ""
    (adapter / "models/a").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert adapter_base(adapter) == str(adapter / "models/a") == adapter_base(adapter)
    assert caplog.text.count(f"its base model models/a is taken from {adapter / 'models/a'}") == 1


def test_a_base_beside_the_folder_is_taken_and_told(tmp_path, caplog):
    (tmp_path / "base").mkdir()
    adapter = adapter_of(tmp_path / "adapter", "../base")
    with caplog.at_level(logging.WARNING):
        assert Path(adapter_base(adapter)).resolve() == tmp_path / "base"
    assert f"its base model ../base is taken from {tmp_path / 'base'}" in caplog.text


def test_a_base_that_is_nowhere_is_told_with_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adapter = adapter_of(tmp_path / "adapter", "./models/a")
    with pytest.raises(KdslError, match=f"the base model ./models/a is neither below {adapter} nor below {tmp_path};"):
        adapter_base(adapter)
    assert adapter_base(adapter_of(tmp_path / "hub", "Qwen/Qwen2-VL-2B-Instruct")) == "Qwen/Qwen2-VL-2B-Instruct"


def test_what_a_trainer_puts_behind_the_end_token_changes_no_score(tiny_model: Path, tmp_path: Path) -> None:
    """LLaMA-Factory and ms-swift learn `label<|im_end|>` and a line break: a score ends with the end token, and what
    comes later changes no token before it."""
    model = LocalModel.load(str(tiny_model), tiny_qwen2vl.BUDGET)
    page = tiny_qwen2vl.draw_page(tmp_path / "page.png", "红", bar=True)
    conversation = tiny_qwen2vl.classify(page, "退")
    scores = model.score([conversation], tiny_qwen2vl.LABELS).log_probabilities[0]
    processor = model.processor
    prompt = processor.encode(conversation)
    for label, score in zip(tiny_qwen2vl.LABELS, scores, strict=True):
        answer = processor.answer_ids(label)
        whole = prompt.followed_by([*answer, *processor.answer_ids("\n", ended=False)])
        with torch.inference_mode():
            batch = model._batch([whole])
            found = model.model(**batch).logits[0].log_softmax(-1)
        start = len(prompt)
        learned = sum(float(found[start + place - 1, token]) for place, token in enumerate(answer))
        assert learned == pytest.approx(score, abs=1e-4)


def test_generating_ends_at_the_end_token(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "generation_config.json").unlink()  # the tokenizer's end token holds without one
    model = LocalModel.load(str(folder), tiny_qwen2vl.BUDGET)
    page = tiny_qwen2vl.draw_page(tmp_path / "page.png", "蓝", bar=False)
    [answer] = model.generate([tiny_qwen2vl.classify(page, "换")], max_new_tokens=10)
    assert (answer.text, answer.output_tokens) == ("蓝换", 3)
