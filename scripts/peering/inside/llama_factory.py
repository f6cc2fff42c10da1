"""Run by LLaMA-Factory's Python: its tokens of a data set, as JSON lines."""

import json
import sys

import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

_IGNORED = -100


def main(arguments: list[str]) -> None:
    """Arguments: the training YAML, the output, then settings as `key=value`."""
    with open(arguments[0], encoding="utf-8") as file:
        settings = yaml.safe_load(file)
    settings |= {name: yaml.safe_load(value) for name, _, value in (each.partition("=") for each in arguments[2:])}
    model, data, training, _, _ = get_train_args(settings)
    tokens = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(tokens["tokenizer"], data)
    made = get_dataset(template, model, data, training, stage="sft", **tokens)["train_dataset"]
    with open(arguments[1], "w", encoding="utf-8") as output:
        for row in made:
            learned = sum(label != _IGNORED for label in row["labels"])
            output.write(json.dumps({"ids": list(row["input_ids"]), "learned": learned}) + "\n")


main(sys.argv[1:])
