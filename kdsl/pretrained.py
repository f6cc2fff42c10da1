"""Models in directories and on the hub: where one lies, what its weights are, and its mistakes in one sentence."""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.distribution import install_command
from kdsl.errors import KdslError, first_line
from kdsl.files import opened

if TYPE_CHECKING:
    import torch

_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
_BLOCKS = 256
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "*config.json")


def without_extra(name: str, error: ImportError) -> KdslError:
    """What to tell where the extra `vlm` is missing."""
    return KdslError(
        f"{name}: a model in this process needs torch and transformers ({error}): {install_command('vlm')}, or "
        "give the http:// address of a server"
    )


def location_of(name: str) -> str:
    """What `from_pretrained` takes for this model: a directory that exists, or a hub id.

    A path that does not exist is never looked up on the hub. Raises KdslError for it, and for a directory without a
    model.
    """
    folder = Path(name).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise KdslError(f"{name}: holds no model (config.json is missing); name the directory of a whole model")
    if is_path(name) and not folder.is_dir():
        raise KdslError(
            f"{name}: no such model directory; name a directory, a hub id such as Qwen/Qwen2-VL-2B-Instruct, or the "
            "http:// address of a server"
        )
    return str(folder) if folder.is_dir() else name


def directory_of(name: str) -> Path:
    """The directory of a model that is one, or of a hub id that was fetched before.

    Raises KdslError as `location_of` does, and for a hub id whose files are not here.
    """
    location = Path(location_of(name))
    if location.is_dir():
        return location
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError) as error:
        raise KdslError(
            f"{name}: is not on this machine ({first_line(error)}); download it, and name its directory"
        ) from error


def is_path(name: str) -> bool:
    """Whether a name means a directory, here or missing: `checkpoints/run` does, given a folder checkpoints."""
    path = Path(name).expanduser()
    return path.is_dir() or not _HUB_ID.fullmatch(name) or Path(path.parts[0]).is_dir()


def model_name(name: str) -> str:
    """How a model is called in files: its hub id or address, and of a directory the last part alone."""
    path = Path(name).expanduser()
    return path.name if path.is_absolute() or path.is_dir() else name


def fingerprint(name: str) -> str:
    """A short hash of the weights in a directory (from their sizes and blocks all over the files), or the hub id."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return name
    digest = sha256()
    for path in sorted(path for pattern in _WEIGHTS for path in folder.glob(pattern)):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with opened(path) as file:
            for block in range(_BLOCKS):
                file.seek(size * block // _BLOCKS)
                digest.update(file.read(4096))
    return digest.hexdigest()[:16]


@contextmanager
def loading_in_one_sentence(name: str) -> Iterator[None]:
    """Tells the mistakes of `from_pretrained` for this model as a KdslError."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        yield
    # Of a config.json that contradicts itself transformers raises AttributeError too.
    except (OSError, ValueError, RuntimeError, AttributeError, SafetensorError, StrictDataclassError) as error:
        if is_out_of_memory(error):
            raise KdslError(f"{name}: does not fit the memory of this device; take a smaller model") from error
        # The cause of a StrictDataclassError says more than its wrapper.
        strict = isinstance(error, StrictDataclassError) and error.__cause__ is not None
        reason = first_line(error.__cause__ if strict and error.__cause__ else error).rstrip(".")
        if Path(name).expanduser().is_dir():
            reason = "its weights are not of this config.json" if "mismatched" in str(error) else reason
            raise KdslError(f"{name}: cannot be loaded ({reason})") from error
        raise KdslError(
            f"{name}: no directory here, and cannot be fetched from the hub ({reason}); name the "
            "directory of a model that you have downloaded"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' reports on weights, which are read from its loading information instead, without what its
    versions and peft's tell each other, and without bars where nobody looks."""
    import transformers

    before = transformers.logging.get_verbosity()
    bar = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers.logging.set_verbosity(before)
        if bar:
            transformers.logging.enable_progress_bar()


def number_format(device: str) -> "torch.dtype":
    """In which a model computes there: half precision on a GPU, bfloat16 where it has that."""
    import torch

    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, or the CPU's allocator, had no memory left."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
