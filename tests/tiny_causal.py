"""Tiny language models that only read, with random weights and the chat format of Qwen or of Mistral."""

from pathlib import Path

from tiny_qwen2vl import build

_MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% elif message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]"
    "{% else %}{{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
_QWEN = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_causal(folder: Path, family: str, texts: tuple[str, ...] = (), seed: int = 0) -> Path:
    """The directory of a model of that `model_type`: qwen2, qwen3, mistral (with a sliding window) or llama."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

    build(folder, texts)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for path in folder.glob("*"):
        path.unlink()
    window = {"sliding_window": 16} if family == "mistral" else {}
    if family in ("mistral", "llama"):
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=_renamed(tokenizer), bos_token="<s>", eos_token="</s>", unk_token="<unk>",
            chat_template=_MISTRAL,
        )  # fmt: skip
    else:
        tokenizer.chat_template = _QWEN
    config = AutoConfig.for_model(
        family, vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, **window,
    )  # fmt: skip
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _renamed(tokenizer):  # type: ignore[no-untyped-def]
    """The tokens of bytes and characters without Qwen's special ones."""
    import json

    from tokenizers import AddedToken, Tokenizer

    file = json.loads(tokenizer.backend_tokenizer.to_str())
    file["added_tokens"] = []
    made = Tokenizer.from_str(json.dumps(file))
    made.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in ("<s>", "</s>", "<unk>")])
    return made
