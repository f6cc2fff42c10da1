"""What sentence-transformers says in files about an encoder is followed, or refused in one sentence."""

import json
from pathlib import Path

import pytest

from kdsl.embeddings.layout import Layout, read_layout
from kdsl.errors import KdslError

MODULE = "sentence_transformers.models."


@pytest.fixture
def layout(tmp_path: Path):
    def read(**files: object) -> Layout:
        """The layout of files by name, in which __ stands for / and all end with .json."""
        for name, value in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return read_layout("enc", lambda file: tmp_path / file if (tmp_path / file).exists() else None)

    return read


def modules(*names: str) -> list[dict]:
    return [
        {"idx": i, "name": str(i), "path": f"{i}_{name}" if i else "", "type": MODULE + name}
        for i, name in enumerate(names)
    ]


def test_a_plain_transformer_is_pooled_by_the_mean(layout):
    assert layout() == Layout("mean", "", None)


@pytest.mark.parametrize(
    ("mode", "pooling"),
    [("pooling_mode_cls_token", "cls"), ("pooling_mode_mean_tokens", "mean"), ("pooling_mode_lasttoken", "last")],
)
def test_pooling_is_as_the_files_say(layout, mode, pooling):
    config = {"word_embedding_dimension": 8, "pooling_mode_max_tokens": False, mode: True}
    found = layout(modules=modules("Transformer", "Pooling", "Normalize"), **{"1_Pooling__config": config})
    assert found.pooling == pooling


def test_prompt_and_length_are_as_the_files_say(layout):
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
    assert layout(config_sentence_transformers=prompts, sentence_bert_config={"max_seq_length": 128}) == Layout(
        "mean", "query: ", 128
    )
    unnamed = {"prompts": {"query": "query: "}, "default_prompt_name": None}
    assert layout(config_sentence_transformers=unnamed).prompt == ""


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"modules": modules("Transformer", "Dense")},
            "enc: modules.json names the part 'Dense', which KDSL",
        ),
        ({"modules": [3]}, "enc: modules.json names the part 3"),
        ({"modules": {}}, "modules.json: holds {} instead of a list"),
        ({"modules": "{"}, "modules.json"),
        ({"sentence_bert_config": []}, r"sentence_bert_config.json: holds \[\] instead of a JSON object"),
        (
            {"modules": modules("Transformer", "Pooling"), "1_Pooling__config": {"pooling_mode_max_tokens": True}},
            "enc: its pooling is pooling_mode_max_tokens; KDSL knows one of pooling_mode_mean_tokens, pool",
        ),
        (
            {
                "modules": modules("Transformer", "Pooling"),
                "1_Pooling__config": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            },
            r"its pooling is pooling_mode_cls_token \+ pooling_mode_mean_tokens",
        ),
        ({"modules": modules("Transformer", "Pooling")}, "its pooling is not said"),
    ],
)
def test_what_kdsl_does_not_know_is_refused(layout, files, said):
    with pytest.raises(KdslError, match=said):
        layout(**files)
