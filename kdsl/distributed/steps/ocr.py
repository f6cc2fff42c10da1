"""The text on the images of samples, as the sidecar `data.ocr` has it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.distributed.schemas import page_schema
from kdsl.distributed.steps.media import MediaWorker, Named
from kdsl.fields.ocr import PageReader, require_ocr
from kdsl.fields.sidecar import page_record
from kdsl.project.project import Project

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Ocr:
    """The step behind `kdsl ocr` over shards."""

    batch: int = 64
    gpus: float = 0.0
    needs: tuple[str, ...] = ("ocr",)
    reads: tuple[str, ...] = ()
    name: str = "ocr"

    def state(self, project: Project) -> str:
        """Nothing of the project matters but that there are images. KdslError where there are none, or no RapidOCR."""
        require_ocr()
        return str(project.image_folder)

    def schema(self, project: Project) -> "pyarrow.Schema":
        return page_schema()

    def open(self, project: Project) -> MediaWorker:
        reader, folder = PageReader(), project.image_folder

        def look(named: Sequence[Named]) -> Iterator[tuple[Named, dict[str, Any] | str]]:
            pages = reader.pages([name for _, name in named], folder)
            for each, (_, page) in zip(named, pages, strict=True):
                yield each, page if isinstance(page, str) else page_record(page)

        return MediaWorker(lambda sample: sample.images, look, reader.close)
