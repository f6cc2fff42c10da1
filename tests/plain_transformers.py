"""Scores of labels by transformers alone, from what stands in a model's directory: what other people's tools see."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def label_scores(folder: Path, picture: Path, texts: Sequence[str], labels: Sequence[str]) -> list[float]:
    """log p(label and end token) after a message of a picture and texts, in float32."""
    import torch
    from PIL import Image
    from transformers import AutoModelForMultimodalLM, AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    model = AutoModelForMultimodalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # AutoProcessor gives the same where torchvision is installed.
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    shown = images([Image.open(picture)], return_tensors="pt")
    content: list[dict[str, Any]] = [{"type": "image"}, *({"type": "text", "text": text} for text in texts)]
    message = [{"role": "user", "content": content}]
    prompt = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    patches = int(shown["image_grid_thw"].prod()) // images.merge_size**2
    prompt = prompt.replace("<|image_pad|>", "<|image_pad|>" * patches)
    found = []
    for label in labels:
        answer = [*tokenizer.encode(label), tokenizer.eos_token_id]
        ids = torch.tensor([tokenizer.encode(prompt) + answer])
        kinds = (ids == model.config.image_token_id).long()
        with torch.inference_mode():
            logits = model(input_ids=ids, mm_token_type_ids=kinds, **shown).logits[0, -len(answer) - 1 : -1]
        found.append(logits.double().log_softmax(dim=-1)[range(len(answer)), answer].sum().item())
    return found
