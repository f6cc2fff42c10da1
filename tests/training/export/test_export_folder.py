"""What a project would fine-tune on, as a folder for LLaMA-Factory or ms-swift: the same conversations and tokens."""

import json
import logging
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import torch
import yaml
from tiny_project import read, samples, write, write_project, write_two_tasks

from kdsl.errors import KdslError
from kdsl.models.large.export_record import ExportRecord
from kdsl.project.large import tuners_of
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.training_export import export_training_set
from kdsl.training.data import examples_of
from kdsl.training.examples import Examples
from kdsl.vlm.conversation import Picture, ask
from kdsl.vlm.processor import Processor

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
SEEN = "<|vision_start|>{}<|vision_end|>"
COPIES = {"copies": 1}


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project; not to be written to."""
    return write_project(tmp_path_factory.mktemp("exported") / "项目 a", tiny_model, n=12)


@pytest.fixture(scope="module")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project exported for LLaMA-Factory, with changed copies; not to be written to."""
    out = tmp_path_factory.mktemp("out") / "数据 1"
    export_training_set(opened(folder, "augment.copies=1"), "llama-factory", out)
    return out


def opened(folder: Path, *changes: str) -> Project:
    return Project.open(folder, changes)


def learned(project: Project):
    """What `kdsl train` learns from and holds out, and with what."""
    tuner = tuners_of(project, TaskProject.all_of(project))[0]
    return tuner, *examples_of(tuner.data(tuner.together), tuner.recipe.prompts)[:2]


def loaded(path: Path):
    return json.loads(path.read_text("utf-8"))


def tokens_of(record: dict, processor: Processor, images: Path) -> tuple[list[int], list[int]]:
    """Prompt and answer as LLaMA-Factory's template qwen2_vl writes them, pictures as its processor would see them."""
    text = record["messages"][0]["content"]
    pixels = []
    for name in record["images"]:
        seen = processor.encode(ask(Picture(images / name)))
        patches = int(seen.image_grid_thw.prod()) // 4
        text = text.replace("<image>", SEEN.format("<|image_pad|>" * patches), 1)
        pixels.append(seen.pixel_values)
    prompt = f"{SYSTEM}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    answer = record["messages"][1]["content"] + "<|im_end|>\n"
    tokenizer = processor.tokenizer
    return tokenizer.encode(prompt), tokenizer.encode(answer), torch.cat(pixels)


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_a_trainer_gets_the_tokens_and_pixels_that_kdsl_trains_on(folder, exported, part):
    tuner, trained, held_out = learned(opened(folder, "augment.copies=1"))
    examples = trained if part == "train" else held_out
    processor = Processor.load(tuner.recipe.base, tuner.recipe.budget, tuner.recipe.max_tokens)
    records = loaded(exported / f"{part}.json")
    assert len(records) == len(examples) > 1
    encoded = Examples(examples, processor)
    for record, own in zip(records, (encoded[row] for row in range(len(encoded))), strict=True):
        prompt, answer, pixels = tokens_of(record, processor, exported)
        assert prompt == own.prompt.input_ids.tolist()
        # Its template goes on with a line break, which is scored by nobody: an answer ends with its end token.
        assert answer[: len(own.answer)] == own.answer
        assert torch.equal(pixels, own.prompt.pixel_values)


def test_copies_are_trained_on_with_their_pictures_and_nothing_is_in_both_parts(folder, exported):
    records = loaded(exported / "train.json")
    _, trained, _ = learned(opened(folder, "augment.copies=1"))
    assert len(records) == len(trained) > 12
    assert all((exported / name).is_file() for record in records for name in record["images"])
    held_out = {name for record in loaded(exported / "held_out.json") for name in record["images"]}
    assert held_out and not held_out & {name for record in records for name in record["images"]}


def test_what_is_predicted_are_the_held_out_samples_and_then_the_test_samples(folder, exported):
    record = ExportRecord.load(exported)
    assert record is not None and record.whole
    _, _, held_out = learned(opened(folder))
    assert len(record.held_out) == len(held_out)
    assert [each.id for each in record.test] == [sample["id"] for sample in read(folder / "test.jsonl")]
    assert [each["messages"][1]["content"] for each in loaded(exported / "test.json")] == [
        sample["label"] for sample in read(folder / "test.jsonl")
    ]
    assert yaml.safe_load((exported / "predict.yaml").read_text("utf-8"))["eval_dataset"] == "held_out,test"


def test_llama_factory_is_given_the_recipe_of_the_project(folder, exported):
    settings = yaml.safe_load((exported / "train.yaml").read_text("utf-8"))
    assert (
        settings.items()
        >= {
            "model_name_or_path": str(opened(folder).config.large),
            "template": "qwen2_vl",
            "default_system": "You are a helpful assistant.",
            "dataset_dir": ".",
            "dataset": "train",
            "eval_dataset": "held_out",
            "lora_rank": 16,
            "lora_alpha": 32,
            "lora_dropout": 0.05,
            "lora_target": "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
            "learning_rate": 0.005,
            "num_train_epochs": 3,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 1,
            "image_max_pixels": 3136,
            "image_min_pixels": 784,
            "early_stopping_steps": 3,
            "seed": 0,
        }.items()
    )
    assert settings["cutoff_len"] > 8192
    assert "label_smoothing_factor" not in settings
    info = loaded(exported / "dataset_info.json")
    assert set(info) == {"train", "held_out", "test"}
    assert info["train"]["columns"] == {"messages": "messages", "images": "images"}


def test_ms_swift_is_given_the_same_in_its_own_words(folder, exported, tmp_path):
    out = tmp_path / "swift"
    export_training_set(opened(folder, "augment.copies=1"), "swift", out)
    assert read(out / "train.jsonl") == loaded(exported / "train.json")
    assert read(out / "val.jsonl") == loaded(exported / "held_out.json")
    assert read(out / "test.jsonl") == loaded(exported / "test.json")
    settings = yaml.safe_load((out / "train.yaml").read_text("utf-8"))
    assert (
        settings.items()
        >= {
            "ENV": {"MAX_PIXELS": "3136", "MIN_PIXELS": "784"},
            "model_type": "qwen2_vl",
            "template": "qwen2_vl",
            "system": "You are a helpful assistant.",
            "dataset": ["train.jsonl"],
            "val_dataset": ["val.jsonl"],
            "lora_rank": 16,
            "lora_alpha": 32,
            "weight_decay": 0.0,
            "adam_beta2": 0.999,
            "per_device_train_batch_size": 4,
        }.items()
    )
    predict = yaml.safe_load((out / "predict.yaml").read_text("utf-8"))
    assert predict["val_dataset"] == ["val.jsonl", "test.jsonl"]


def test_full_fine_tuning_and_quantised_weights_are_asked_for(folder, tmp_path):
    full, four_bits = tmp_path / "full", tmp_path / "qlora"
    fixed = ("pixels.max=3136", "pixels.min=3136")
    export_training_set(opened(folder, "training.method=full", *fixed), "llama-factory", full)
    settings = yaml.safe_load((full / "train.yaml").read_text("utf-8"))
    assert settings["finetuning_type"] == "full"
    assert settings["freeze_vision_tower"] and settings["freeze_multi_modal_projector"]
    assert "lora_rank" not in settings
    assert settings["image_min_pixels"] == 784  # what is rounded down is not enlarged again
    assert yaml.safe_load((full / "predict.yaml").read_text("utf-8"))["model_name_or_path"] == "adapter"
    export_training_set(opened(folder, "training.method=qlora"), "llama-factory", four_bits)
    settings = yaml.safe_load((four_bits / "train.yaml").read_text("utf-8"))
    assert (settings["finetuning_type"], settings["quantization_bit"]) == ("lora", 4)


@pytest.mark.parametrize(("trainer", "tool"), [("llama-factory", "LLaMA-Factory"), ("swift", "ms-swift")])
def test_smoothing_is_asked_for_and_balance_is_told_to_be_lost(folder, tmp_path, caplog, trainer, tool):
    with caplog.at_level(logging.WARNING):
        export_training_set(
            opened(folder, "training.label_smoothing=0.1", "training.balance=0.5"), trainer, tmp_path / "out"
        )
    assert yaml.safe_load((tmp_path / "out/train.yaml").read_text("utf-8"))["label_smoothing_factor"] == 0.1
    assert f"training.balance: not written, as it has no place in what {tool} is given" in caplog.text


@pytest.mark.parametrize(
    ("target", "answer"), [("reason_label", "{reason}\n标签：{label}"), ("label_reason", "{label}\n理由：{reason}")]
)
def test_whatever_is_learned_besides_stands_in_the_export(tiny_model, tmp_path, target, answer):
    """Reasons, descriptions, text on images, neighbours, and a teacher's samples."""
    project = write_project(tmp_path / "project", tiny_model, n=12)
    given = read(project / "train.jsonl")
    write(
        project / "reasons.jsonl", [{"id": each["id"], "reason": f"因为{each['id']}", "model": "m"} for each in given]
    )
    line = {"text": "退款单", "score": 0.9, "box": [2, 2, 50, 12]}
    pages = [{"image": each["images"][0], "size": [56, 56], "lines": [line]} for each in given]
    write(project / "ocr.jsonl", pages)
    taught = samples(project / "images", 4, 5)
    for each in taught:
        each["turns"][0]["text"] = f"{each['id']}号，{each['turns'][0]['text']}"
        each["targets"] = {each.pop("label"): 1.0}
    write(project / "distilled.jsonl", taught)
    changes = (
        f"training.target={target}", "prompt.descriptions=true", "prompt.ocr=true", "prompt.neighbours=1",
        *(f"data.{name}={project / name}.jsonl" for name in ("reasons", "ocr", "distilled")),
    )  # fmt: skip
    export_training_set(opened(project, *changes), "swift", tmp_path / "out")
    records = read(tmp_path / "out/train.jsonl")
    _, trained, held_out = learned(opened(project, *changes))
    assert len(records) == len(trained) == 12 - len(held_out) + 4
    for record, example in zip(records, trained, strict=True):
        pieces = example.conversation[0].pieces
        asked, answered = (message["content"] for message in record["messages"])
        assert asked == "".join(piece if isinstance(piece, str) else "<image>" for piece in pieces)
        if example.reason:
            assert answered == answer.format(reason=example.reason, label=example.answer)
        else:  # a teacher gives none
            assert answered.strip().removeprefix("标签：") == example.answer
    asked = [record["messages"][0]["content"] for record in records]
    assert all("红退货" in text for text in asked)  # a description
    assert sum("图片中的文字：\n退款单" in text for text in asked) == 12 - len(held_out)
    assert all("相似的样本：" in text for text in asked)
    assert sum("号，" in text for text in asked) >= 4
    assert ExportRecord.load(tmp_path / "out").target == target


def test_each_task_has_a_folder_where_each_has_an_adapter(tiny_model, tmp_path):
    project = write_two_tasks(tmp_path / "two", tiny_model)
    joint = export_training_set(opened(project), "llama-factory", tmp_path / "joint")
    each = export_training_set(opened(project, "adapters=per_task"), "llama-factory", tmp_path / "each")
    assert [made.folder for made in joint] == [tmp_path / "joint"]
    assert [made.folder for made in each] == [tmp_path / "each/shop", tmp_path / "each/wish"]
    assert sum(made.train for made in each) == joint[0].train
    assert sum(made.test for made in each) == joint[0].test == 20


def test_what_a_customer_writes_moves_no_picture(folder, tmp_path, caplog):
    records = read(folder / "train.jsonl")
    for record in records:
        record["turns"][0]["text"] += "<video><|im_end|>"
    project = write_project(tmp_path / "project", opened(folder).config.large, n=12)
    write(project / "train.jsonl", records)
    with caplog.at_level(logging.WARNING):
        export_training_set(opened(project), "llama-factory", tmp_path / "out")
    written = [each["messages"][0]["content"] for each in loaded(tmp_path / "out/train.json")]
    assert all(text.count("<image>") == 1 and "< video >< |im_end| >" in text for text in written)
    assert "texts hold <video>, which LLaMA-Factory would take for something else; they got spaces" in caplog.text


def test_what_does_not_fit_the_limit_of_tokens_is_left_out_as_in_training(folder, tmp_path):
    folder = write_project(tmp_path / "project", opened(folder).config.large, n=12)
    records = read(folder / "train.jsonl")
    for record in records[::2]:
        record["turns"].append({"role": "agent", "text": "请问货" * 20})
    write(folder / "train.jsonl", records)
    project = opened(folder, "prompt.max_tokens=64")
    export_training_set(project, "llama-factory", tmp_path / "out")
    tuner, trained, _ = learned(project)
    processor = Processor.load(tuner.recipe.base, tuner.recipe.budget, 64)
    dropped = [processor.encode(example.conversation).dropped for example in trained]
    texts = [record["messages"][0]["content"] for record in loaded(tmp_path / "out/train.json")]
    assert 0 < sum(map(bool, dropped)) < len(dropped)
    for text, gone, example in zip(texts, dropped, trained, strict=True):
        pieces = example.conversation[0].pieces
        whole = "".join(piece if isinstance(piece, str) else "<image>" for piece in pieces)
        assert text == whole if gone == 0 else whole.endswith(text) and text != whole


def test_an_export_is_written_again_but_nothing_else_is_written_over(folder, exported, tmp_path):
    out = tmp_path / "out"
    export_training_set(opened(folder), "llama-factory", out)
    before = (out / "train.json").read_bytes()
    export_training_set(opened(folder), "llama-factory", out)
    assert (out / "train.json").read_bytes() == before
    (out / "adapter").mkdir()
    export_training_set(opened(folder), "llama-factory", out)
    with pytest.raises(KdslError, match="out/adapter: was trained on another export; move it away, or name a new"):
        export_training_set(opened(folder, "augment.copies=1"), "llama-factory", out)
    assert (out / "train.json").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(KdslError, match=r"mine: holds something else than an export \(kdsl.json is missing\)"):
        export_training_set(opened(folder), "llama-factory", tmp_path / "mine")


def test_nothing_can_be_trained_on_a_half_of_an_export(folder, tmp_path, monkeypatch):
    from kdsl.training.export import folder as module

    out = tmp_path / "out"
    export_training_set(opened(folder), "llama-factory", out)

    def interrupted(*arguments):
        raise KeyboardInterrupt("3 of 12 files are made")

    monkeypatch.setattr(module, "write_media", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_training_set(opened(folder, "augment.copies=1"), "llama-factory", out)
    assert not (out / "train.yaml").exists()
    monkeypatch.undo()
    export_training_set(opened(folder, "augment.copies=1"), "llama-factory", out)
    assert (out / "train.yaml").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("large=linear", "large: linear: nothing is fine-tuned; name a model's directory or hub id"),
        ("training.method=none", "nothing is fine-tuned; name a model's directory or hub id"),
    ],
)
def test_what_is_not_fine_tuned_is_not_exported(folder, tmp_path, change, message):
    with pytest.raises(KdslError, match=message):
        export_training_set(opened(folder, change), "swift", tmp_path / "out")


def test_a_label_that_a_trainer_would_change_is_told_before_anything_is_written(tiny_model, tmp_path):
    project = write_project(tmp_path / "project", tiny_model, n=12)
    for name in ("shop.yaml", "train.jsonl", "test.jsonl"):
        text = (project / name).read_text("utf-8").replace(json.dumps("红退"), '"<video>"').replace("红退", "<video>")
        (project / name).write_text(text, "utf-8")
    with pytest.raises(KdslError, match="shop: the label '<video>' holds what ms-swift takes for something else; ren"):
        export_training_set(opened(project), "swift", tmp_path / "out")
    assert not (tmp_path / "out/kdsl.json").exists()


def test_a_picture_that_is_missing_is_told_as_in_training(folder, tmp_path):
    project = write_project(tmp_path / "project", opened(folder).config.large, n=12)
    (project / "images/shop0-3.png").unlink()
    with pytest.raises(KdslError, match=r"shop0-3.png: no such file; training needs every image"):
        export_training_set(opened(project), "swift", tmp_path / "out")
    assert not (tmp_path / "out/train.yaml").exists()


def answers_of_llama_factory(out: Path) -> Path:
    """What it would write, were it always right but for the first sample."""
    records = loaded(out / "held_out.json") + loaded(out / "test.json")
    labels = [record["messages"][-1]["content"] for record in records]
    lines = [{"prompt": "…", "predict": label, "label": f"{label}\n"} for label in labels]
    lines[0]["predict"] = "?"
    (out / "predicted").mkdir()
    return write(out / "predicted/generated_predictions.jsonl", lines)


def answers_of_ms_swift(out: Path) -> Path:
    records = read(out / "val.jsonl") + read(out / "test.jsonl")
    labels = [record["messages"][-1]["content"] for record in records]
    lines = [{"response": label, "labels": label, "logprobs": None, "images": []} for label in labels]
    lines[0]["response"] = "?"
    return write(out / "predicted.jsonl", lines)


@pytest.mark.parametrize(
    ("trainer", "answers"), [("llama-factory", answers_of_llama_factory), ("swift", answers_of_ms_swift)]
)
def test_the_answers_of_a_trainer_come_back(kdsl, folder, tiny_model, tmp_path, trainer, answers):
    project = write_project(tmp_path / "project", tiny_model, n=60)
    export_training_set(opened(project), trainer, project / "out")
    recorded = f"large=recorded:{answers(project / 'out')}"
    for command in ("mine", "train"):
        result = kdsl(command, project, recorded, "mining.iterations=5")
        assert result.code == 0, result.err
    given, out = read(project / "test.jsonl"), tmp_path / "predicted.jsonl"
    assert kdsl("predict", project, recorded, "--input", project / "test.jsonl", "--output", out).code == 0
    assert [each["label"] for each in read(out)] == [each["label"] for each in given]
    given[3]["turns"][0]["text"] = "别的"
    write(project / "test.jsonl", given)
    result = kdsl("train", project, recorded)
    assert result.code == 2
    assert f"sample '{given[3]['id']}' was exported, but the data files have none like it now" in result.err


def test_the_command_says_what_to_run_next(kdsl, folder, tmp_path):
    out = tmp_path / "it's out"
    result = kdsl("convert", folder, "--format", "swift", "--output", out)
    assert result.code == 0, result.err
    assert f"{out}: 10 conversations to train on, 2 held out, 12 to be predicted" in result.out
    assert f"""cd '{tmp_path}/it'"'"'s out' && swift sft train.yaml""" in result.out
    result = kdsl("convert", folder, "--format", "swift", "--output", out, "--input", folder / "train.jsonl")
    assert "leave --input and --predictions out, or give --format ms-swift for the samples of a file" in result.err
    result = kdsl("convert", folder, "--format", "jsonl", "--output", tmp_path / "a.jsonl")
    assert "--input is missing; name the file of samples to convert" in result.err
