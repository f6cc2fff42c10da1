"""Run by ms-swift's Python: its tokens of a data set, as JSON lines.

Arguments: the training YAML, the data, the output. The pixel budget stands in the environment.
"""

import json
import sys

import yaml
from swift import get_processor, get_template

_IGNORED = -100


def main(config: str, data: str, output: str) -> None:
    with open(config, encoding="utf-8") as file:
        settings = yaml.safe_load(file)
    processor = get_processor(settings["model"], model_type=settings["model_type"])
    template = get_template(
        processor, template_type=settings["template"], default_system=settings.get("system"),
        max_length=settings["max_length"],
    )  # fmt: skip
    template.set_mode("train")
    with open(data, encoding="utf-8") as lines, open(output, "w", encoding="utf-8") as file:
        for line in lines:
            made = template.encode(json.loads(line))
            learned = sum(label != _IGNORED for label in made["labels"])
            file.write(json.dumps({"ids": [int(each) for each in made["input_ids"]], "learned": learned}) + "\n")


main(*sys.argv[1:])
