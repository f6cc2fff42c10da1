"""What lies beside weights that were trained here or by others."""

import json
from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.models.large.export_record import AskedSample, ExportRecord
from kdsl.models.large.training_record import TrainingRecord
from kdsl.vlm.pixels import PixelBudget

GIVEN = PixelBudget(3136, 602112)
README = "---\nlibrary_name: peft\ntags:\n- llama-factory\n- lora\n---\n\n# adapter\n"
ARGUMENTS = {"swift_version": "4.6.0", "template": "qwen2_vl", "system": None, "max_pixels": None}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "out/adapter"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    return folder


def doubts(folder: Path, budget: PixelBudget = GIVEN, sees: bool = True) -> list[str]:
    record = TrainingRecord.of(str(folder))
    assert record is not None
    return list(record.doubts(record.budget(budget, is_default=False), sees))


def test_an_adapter_of_which_nothing_is_told(adapter):
    assert doubts(adapter) == [
        "nothing tells in which size it saw pictures; it is asked with pixels: {min: 3136, max: 602112}; set them to "
        "that"
    ]
    assert doubts(adapter, sees=False) == []


def test_models_that_were_not_trained_have_no_record(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for name in (str(tmp_path), "Qwen/Qwen2-VL-2B-Instruct", "http://localhost:8000/v1", str(tmp_path / "none")):
        assert TrainingRecord.of(name) is None


def test_llama_factory_keeps_no_pixels_but_sizes_pictures_in_its_own_way(adapter):
    (adapter / "README.md").write_text(README)
    size = {"shortest_edge": 784, "longest_edge": 12845056}
    (adapter / "processor_config.json").write_text(json.dumps({"image_processor": {"size": size}}))
    record = TrainingRecord.of(str(adapter))
    assert record.budget(GIVEN, is_default=True) == PixelBudget(3136, 602112, (784, 12845056))
    [doubt] = doubts(adapter)
    assert doubt == (
        "was trained by LLaMA-Factory, which keeps no image_max_pixels (its default is 589824, and 1024 at least); it "
        "is asked with pixels: {min: 3136, max: 602112}; set them to what it was trained with"
    )
    (adapter / "processor_config.json").write_text("{")
    assert TrainingRecord.of(str(adapter)).processor == (3136, 12845056)


def test_ms_swift_keeps_pixels_in_the_settings_alone(adapter):
    (adapter / "args.json").write_text(json.dumps(ARGUMENTS))
    [doubt] = doubts(adapter)
    assert "by ms-swift, which keeps no MAX_PIXELS (its default is 12845056, and 3136 at least)" in doubt
    (adapter.parent / "train.yaml").write_text("ENV: {MAX_PIXELS: '401408'}\n")
    [doubt] = doubts(adapter)
    assert doubt == (
        "was trained with pixels: {min: 3136, max: 401408}, but the project has {min: 3136, max: 602112}; set pixels: "
        "{min: 3136, max: 401408}"
    )
    assert TrainingRecord.of(str(adapter)).budget(GIVEN, is_default=True) == PixelBudget(3136, 401408)
    assert doubts(adapter, PixelBudget(3136, 401408)) == []


def test_another_chat_format_or_system_message_is_told(adapter):
    changed = ARGUMENTS | {"template": "llama3", "system": "Be brief."}
    (adapter / "args.json").write_text(json.dumps(changed))
    assert doubts(adapter, sees=False) == [
        "was trained with the system message 'Be brief.', but is asked with that of the model's chat format",
        "was trained with the chat format llama3, but is asked in the model's own, whose answers may end otherwise",
    ]


def test_an_adapter_of_an_export_saw_what_the_project_shows(adapter):
    held_out = tuple(AskedSample(task="shop", id=id, fingerprint="f") for id in ("a", "b"))
    exported = ExportRecord(
        trainer="llama-factory", whole=True, pixels=(784, 3136), target="label_reason", held_out=held_out
    )
    exported.save(adapter.parent)
    (adapter / "README.md").write_text(README)
    (adapter / "checkpoint-8").mkdir()
    (adapter / "checkpoint-8/adapter_config.json").write_text("{}")
    for folder in (adapter, adapter / "checkpoint-8"):
        record = TrainingRecord.of(str(folder))
        assert (record.trainer, record.target) == ("LLaMA-Factory", "label_reason")
        assert record.held_out == {"shop": ("a", "b")}
        assert record.budget(GIVEN, is_default=True) == PixelBudget(784, 3136)
        assert record.budget(GIVEN, is_default=False) == GIVEN
        assert "was trained with pixels: {min: 784, max: 3136}, but the project has" in doubts(folder)[0]
    exported.save(adapter.parent / "base")  # a base model beside it was not trained on it
    (adapter.parent / "base/config.json").write_text("{}")
    assert TrainingRecord.of(str(adapter.parent / "base")) is None


def test_a_damaged_record_of_an_export_is_told(adapter):
    (adapter.parent / "kdsl.json").write_text('{"trainer": 3}')
    with pytest.raises(KdslError, match=r"kdsl.json: trainer: Input should be .*; export again, into a new folder"):
        TrainingRecord.of(str(adapter))
