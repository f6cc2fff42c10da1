"""From the name of a model in kdsl.yaml to a model that answers."""

from kdsl.errors import KdslError
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.pixels import PixelBudget


def open_model(
    name: str, budget: PixelBudget | None = None, max_tokens: int = 32768, batch_size: int = 8
) -> VisionLanguageModel:
    """The model that `name` names: a directory of a model or of an adapter, or a hub id.

    Raises KdslError in one sentence for whatever cannot be opened, a missing `kdsl[vlm]` included.
    """
    try:
        from kdsl.vlm.local import LocalModel
    except ImportError as error:
        raise KdslError(
            f"{name}: running a model here needs {error.name or 'torch'}, which cannot be imported ({error}); "
            'pip install "kdsl[vlm]"'
        ) from error
    return LocalModel.load(name, budget, max_tokens, batch_size=batch_size)
