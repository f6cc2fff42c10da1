"""A vision-language model by its name."""

from collections.abc import Mapping
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.hosts import Consent, is_address
from kdsl.pretrained import without_extra
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.server.model import ServedModel


def load_model(
    name: str,
    budget: PixelBudget | None = None,
    max_tokens: int = 32768,
    device: str | None = None,
    adapters: Mapping[str, Path] | None = None,
    consent: Consent | None = None,
    pictures: Path | None = None,
) -> VisionLanguageModel:
    """The model at http://host:port/v1 (or …/v1#name), in a directory, in a checkpoint, or of a hub id.

    A server needs neither torch nor transformers here, and has its own limit of tokens, batches and device; `consent`
    is for one that is not this machine. `pictures` is that of `LocalModel.load`. Raises KdslError in one sentence for
    whatever cannot be loaded or reached.
    """
    if is_address(name):
        if adapters:
            raise KdslError(f"{name}: adapters are loaded by the server; name one as it serves it, like …/v1#adapter")
        return ServedModel.connect(name, budget, consent=consent)
    try:
        from kdsl.vlm.local import LocalModel
    except ImportError as error:
        raise without_extra(name, error) from error
    return LocalModel.load(name, budget, max_tokens, device, adapters, pictures)
