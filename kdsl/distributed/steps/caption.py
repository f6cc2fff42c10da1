"""The images of samples in words, as the sidecar `data.captions` has them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.distributed.schemas import caption_schema
from kdsl.distributed.steps.media import MediaWorker, Named
from kdsl.pretrained import model_name
from kdsl.project.project import Project
from kdsl.project.small import load_small, require_small
from kdsl.small.captions import captions_of
from kdsl.small.wording import wording_of

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Caption:
    """The step behind `kdsl caption` over shards: a model a process, on its own GPU where there is one."""

    gpus: float = 0.0
    batch: int = 64
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    name: str = "caption"

    def state(self, project: Project) -> str:
        """The model's name. KdslError where `small:` names none, and without a folder of images."""
        model = require_small(project.config)
        return f"{project.image_folder} {model_name(model)}"

    def schema(self, project: Project) -> "pyarrow.Schema":
        return caption_schema()

    def open(self, project: Project) -> MediaWorker:
        model, folder = load_small(project, keeping=False), project.image_folder
        name, wording = model_name(project.config.small), wording_of(project.tasks[0])

        def look(named: Sequence[Named]) -> Iterator[tuple[Named, dict[str, Any] | str]]:
            found = captions_of(model, wording, [image for _, image in named], folder)
            for each, (image, caption) in zip(named, found, strict=True):
                told: dict[str, Any] | str = {"image": image, "caption": caption.text, "model": name}
                yield each, caption.problem or told

        return MediaWorker(lambda sample: sample.images, look)
