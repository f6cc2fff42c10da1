"""Loading the weights of a Qwen model that sees or hears and its LoRA adapters, with mistakes told in one sentence."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftConfig, PeftModel
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM, PretrainedConfig, PreTrainedModel

from kdsl.errors import KdslError
from kdsl.files import parsing
from kdsl.json_file import read_json
from kdsl.pretrained import is_path, loading_in_one_sentence, location_of, number_format, quiet

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models that KDSL can run, and what they take besides text."""

    name: str
    sees: bool = True
    hears: bool = False


FAMILIES = {
    "qwen2_vl": Family("Qwen2-VL"),
    "qwen2_5_vl": Family("Qwen2.5-VL"),
    "qwen3_vl": Family("Qwen3-VL"),
    "qwen2_audio": Family("Qwen2-Audio", sees=False, hears=True),
    "qwen2_5_omni_thinker": Family("Qwen2.5-Omni", hears=True),
    "qwen2": Family("Qwen2", sees=False),
    "qwen3": Family("Qwen3", sees=False),
    "mistral": Family("Mistral", sees=False),
    "llama": Family("Llama", sees=False),
}
"""By `model_type` in a configuration, as `model_config` gives it."""
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_OLD_LAYOUT = {r"^model\.layers\.": "model.language_model.layers.", r"^visual\.": "model.visual."}
"""Before transformers 4.52 the language model and the vision tower had these names, and adapters still do."""
_PREFIX = "base_model.model."


def load_base(
    name: str, device: str | None = None, dtype: torch.dtype | None = None, **options: Any
) -> PreTrainedModel:
    """The model in a directory, or of a hub id such as Qwen/Qwen2-VL-2B-Instruct, ready for inference.

    On one GPU or the CPU, or spread over several GPUs when there are and `device` is not given; bfloat16 on GPUs that
    have it, unless `dtype` is given; flash-attention where it is installed, sdpa elsewhere. `options` go to
    `from_pretrained`. Raises KdslError when there is no such model, it is of another family, or its weights do not fit
    its configuration.
    """
    location = find_model(name)
    if device is None:
        several = torch.cuda.device_count() > 1
        device = "auto" if several else "cuda" if torch.cuda.is_available() else "cpu"
    with loading_in_one_sentence(name), quiet():
        config = model_config(location)
        model, info = auto_class(config).from_pretrained(
            location,
            config=config,
            dtype=dtype or number_format(device),
            attn_implementation=_attention(device),
            device_map=None if device == "cpu" else device,
            output_loading_info=True,
            trust_remote_code=False,  # nor asked about: a model's directory may be a stranger's
            **options,
        )
    if info["missing_keys"]:
        first = min(info["missing_keys"])
        raise KdslError(
            f"{name}: the weight files lack {len(info['missing_keys'])} of the model's tensors, such as {first}; the "
            "directory is incomplete, or its config.json is of another model"
        )
    return model.eval()


def auto_class(config: PretrainedConfig) -> Any:
    """The class of transformers that makes or loads the model of this configuration."""
    family = FAMILIES[config.model_type]
    return AutoModelForMultimodalLM if family.sees or family.hears else AutoModelForCausalLM


def load_adapters(model: PreTrainedModel, adapters: dict[str, Path]) -> PeftModel:
    """Put LoRA adapters (name → directory) into the model; the first is active. Raises KdslError for one that is not
    an adapter or was trained on another base. Adapters of the module names before transformers 4.52 are converted.
    """
    peft_model: PeftModel | None = None
    for name, folder in adapters.items():
        config = _adapter_config(model, folder)
        arguments: dict[str, Any] = {"adapter_name": name, "key_mapping": _old_layout(model)}
        try:
            with quiet():
                if peft_model is None:
                    peft_model = PeftModel.from_pretrained(model, folder, config=config, **arguments)
                else:
                    peft_model.load_adapter(folder, peft_config=config, **arguments)
        except RuntimeError as error:
            mismatch = re.search(r"size mismatch for (?:base_model\.model\.)?(\S+):", str(error))
            if mismatch is None:
                raise
            raise KdslError(
                f"{folder}: an adapter for a base of another size ({mismatch[1]} does not fit); it was trained on "
                f"{config.base_model_name_or_path}"
            ) from error
    if peft_model is None:
        raise ValueError("no adapters were given")
    return peft_model.eval()


def adapter_base(folder: Path) -> str:
    """The base model that the adapter in this directory was trained on: a directory, or a hub id.

    A path that is not absolute is looked up in the adapter's directory, then in the current one; a warning says which
    it is where that is not plain. KdslError where the adapter names none, or one that is not there.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    base = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not base or not isinstance(base, str):
        raise KdslError(f"{folder / ADAPTER_CONFIG}: base_model_name_or_path is missing; name the base model there")
    given = Path(base).expanduser()
    places = [given] if given.is_absolute() else [folder / given, given]
    found = [place for place in places if place.is_dir()]
    if not found and is_path(base):
        where = "not there" if given.is_absolute() else f"neither below {folder} nor below {Path.cwd()}"
        raise KdslError(
            f"{folder / ADAPTER_CONFIG}: the base model {base} is {where}; correct base_model_name_or_path"
        )
    if not found:
        return base
    if not given.is_absolute() and (".." in given.parts or len({place.resolve() for place in found}) > 1):
        _tell_base(folder, base, found[0].resolve())
    return str(found[0])


@cache
def _tell_base(folder: Path, base: str, found: Path) -> None:
    """Once, however often it is asked for."""
    log.warning("%s: its base model %s is taken from %s", folder, base, found)


def is_adapter(name: str) -> bool:
    """Whether this is a directory that holds an adapter instead of a whole model."""
    folder = Path(name).expanduser()
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file()


def find_model(name: str) -> str:
    """What `from_pretrained` takes for this model: a directory that exists, or a hub id.

    Raises KdslError as `location_of` does, for a hub id that cannot be fetched, and for a model of a family that KDSL
    cannot run.
    """
    return _found(name)[0]


def family_of(name: str) -> Family:
    """Of the model that `find_model` finds, or of the one that an adapter was trained on; errors are the same."""
    return _found(adapter_base(Path(name).expanduser()) if is_adapter(name) else name)[1]


def _found(name: str) -> tuple[str, Family]:
    location = location_of(name)
    with loading_in_one_sentence(name):
        family = model_config(location).model_type
    if family not in FAMILIES:
        known = ", ".join(each.name for each in FAMILIES.values())
        raise KdslError(
            f"{name}: a model of type {family!r}, which KDSL cannot run; take one of {known}, or serve it and give "
            "the server's http:// address"
        )
    return location, FAMILIES[family]


def model_config(location: str | Path) -> PretrainedConfig:
    """The configuration of the model in a directory or of a hub id; of a whole Qwen2.5-Omni, which also speaks, that
    of the thinker alone, which reads, sees, hears and writes.

    OSError and ValueError of transformers pass through.
    """
    config = AutoConfig.from_pretrained(location, trust_remote_code=False)
    return config.thinker_config if config.model_type == "qwen2_5_omni" else config


def _adapter_config(model: PreTrainedModel, folder: Path) -> PeftConfig:
    """The adapter's configuration, aimed at exactly the modules that its file has weights for."""
    if not (folder / ADAPTER_CONFIG).is_file() or not (folder / ADAPTER_WEIGHTS).is_file():
        raise KdslError(
            f"{folder}: not a LoRA adapter ({ADAPTER_CONFIG} or {ADAPTER_WEIGHTS} is missing); name the directory "
            "that training wrote it to"
        )
    with parsing(folder, "not a readable adapter"):
        with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
            keys = [key.removeprefix(_PREFIX) for key in file.keys()]  # noqa: SIM118 (not a dictionary)
        config = PeftConfig.from_pretrained(folder)
    modules = {match[1] for key in keys if (match := re.match(r"(.+)\.lora_A\b", key))}
    if config.peft_type != "LORA" or not modules:
        raise KdslError(f"{folder}: an adapter of type {config.peft_type}, but KDSL takes LoRA adapters")
    layout = _old_layout(model)
    renamed = {_new_name(module, layout) for module in modules}
    if renamed != modules:
        log.warning("%s: an adapter of the module names before transformers 4.52; they are converted", folder)
    strange = sorted(renamed - {module for module, _ in _plain_modules(model)})
    if strange:
        raise KdslError(
            f"{folder}: an adapter for another base: the model has no {strange[0]}; it was trained on "
            f"{config.base_model_name_or_path}"
        )
    config.target_modules = renamed
    config.inference_mode = True
    return config


def _plain_modules(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """Modules by the names that they have without adapters."""
    for name, module in model.named_modules():
        yield name.removesuffix(".base_layer"), module


def _old_layout(model: PreTrainedModel) -> dict[str, str]:
    """Names that modules once had in adapters for this model; in one that only reads they have them still."""
    family = FAMILIES[model.config.model_type]
    return _OLD_LAYOUT if family.sees or family.hears else {}


def _new_name(module: str, layout: dict[str, str]) -> str:
    for old, new in layout.items():
        module = re.sub(old, new, module)
    return module


def _attention(device: str) -> str:
    """The newest flash-attention that is installed and runs there; kernels of the hub are never fetched."""
    if device != "cpu":
        if transformers.utils.is_flash_attn_3_available() and torch.cuda.get_device_capability() == (9, 0):
            return "flash_attention_3"
        if transformers.utils.is_flash_attn_2_available():
            return "flash_attention_2"
    return "sdpa"
