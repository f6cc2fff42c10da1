"""The weights of a large model: what `large:` names and what was fine-tuned from it, loaded when asked for."""

import gc
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import TYPE_CHECKING, cast

from kdsl.errors import KdslError
from kdsl.files import inside
from kdsl.hosts import Consent, is_address
from kdsl.models.large.training_record import TrainingRecord
from kdsl.pretrained import fingerprint, without_extra
from kdsl.retrieval.embedding import EmbeddingModel
from kdsl.vlm.load import load_model
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.picture_cache import PICTURES_FOLDER
from kdsl.vlm.pixels import PixelBudget

if TYPE_CHECKING:
    from kdsl.vlm.checkpoint import Family
    from kdsl.vlm.local import LocalModel

log = logging.getLogger(__name__)

TUNED_FOLDER = "large"
"""Below the checkpoint: one folder for each adapter or model that was fine-tuned."""


@dataclass
class LargeWeights:
    """One model and what was fine-tuned from it, `tuned` being a folder's name below <checkpoint>/large.

    Whatever is loaded stays in memory until `release`, or until it was trained again and is asked for; adapters share
    the memory of their base.
    """

    name: str
    """A hub id, a directory, or a server's address."""
    checkpoint: Path
    budget: PixelBudget
    max_tokens: int
    consent: Consent | None = None
    """For a server that is not this machine."""
    keeping: bool = True
    """Whether vectors of samples, and what is prepared of their pictures, are kept in the checkpoint."""
    _loaded: dict[str, VisionLanguageModel] = field(default_factory=dict)
    _embedding: EmbeddingModel | None = None
    _fingerprint: str | None = None
    _hears: bool | None = None

    @property
    def remote(self) -> bool:
        """Whether a server runs the model: then nothing is trained."""
        return is_address(self.name)

    @property
    def pictures(self) -> Path | None:
        """The folder for what is prepared of pictures; None where nothing is kept."""
        return self.checkpoint / PICTURES_FOLDER if self.keeping else None

    @property
    def tunable(self) -> bool:
        """Whether it can be fine-tuned: not on a server, and not an adapter, which is fine-tuned already."""
        return not self.remote and not _local(self.name).is_adapter(self.name)

    @property
    def fingerprint(self) -> str:
        """A short hash of the weights, or the hub id or address. KdslError where the model cannot be there."""
        if self._fingerprint is None:
            self._fingerprint = self.name if self.remote else self._local_fingerprint()
        return self._fingerprint

    def _local_fingerprint(self) -> str:
        local = _local(self.name)
        return fingerprint(self.name if local.is_adapter(self.name) else local.find_model(self.name))

    def sees(self) -> bool:
        """Whether it takes pictures; a server's model is taken for one that does."""
        return self.remote or self._family.sees

    def hears(self) -> bool:
        """Whether it takes sounds; a server is asked, once."""
        if self._hears is None:
            self._hears = self.open(None).hears() if self.remote else self._family.hears
        return self._hears

    @cached_property
    def _family(self) -> "Family":
        return _local(self.name).family_of(self.name)

    def tuned_folder(self, tuned: str) -> Path:
        """KdslError for what names no folder of the checkpoint's, as a checkpoint that was made elsewhere may say."""
        return inside(self.checkpoint / TUNED_FOLDER, tuned)

    def tuned_fingerprint(self, tuned: str) -> str:
        """A short hash of what was fine-tuned."""
        return fingerprint(str(self.tuned_folder(tuned)))

    def is_adapter(self, tuned: str) -> bool:
        """Whether what was fine-tuned needs its base: a whole model does not."""
        return _local(self.name).is_adapter(str(self.tuned_folder(tuned)))

    def open(self, tuned: str | None, together: Sequence[str] = ()) -> VisionLanguageModel:
        """The model as it is named, or what was fine-tuned; `together` are all adapters that will be asked for."""
        if tuned is None:
            return self._load(self.name)
        if not self.is_adapter(tuned):
            return self._load(str(self.tuned_folder(tuned)), self.tuned_fingerprint(tuned))
        from kdsl.vlm.local import LocalModel

        # Named by number: modules of torch cannot have a dot in their names, tasks can.
        names = {folder: f"adapter{number}" for number, folder in enumerate(together or [tuned])}
        key = f"{self.name} with {[(folder, self.tuned_fingerprint(folder)) for folder in sorted(names)]}"
        if key not in self._loaded:
            self.release()
            adapters = {name: self.tuned_folder(folder) for folder, name in names.items()}
            self._loaded[key] = LocalModel.load(
                self.name,
                self.budget,
                self.max_tokens,
                adapters=adapters,
                pictures=self.pictures,
            )
        model = self._loaded[key]
        assert isinstance(model, LocalModel)
        return model.with_adapter(names[tuned])

    def training_record(self) -> TrainingRecord | None:
        """Of the model that is named; of a server's model where its directory is here."""
        from kdsl.vlm.server.model import ServedModel

        if not self.remote:
            return TrainingRecord.of(self.name)
        served = self.open(None)
        assert isinstance(served, ServedModel)
        return None if served.directory is None else TrainingRecord.of(str(served.directory))

    def keep_pictures(self, paths: Iterable[Path], stop: Event) -> None:
        """Have pictures in the cache of what is loaded in this process, until `stop` is set. From any thread."""
        loaded = next(iter(list(self._loaded.values())), None)
        if loaded is None or self.remote:
            return
        from kdsl.vlm.local import LocalModel

        assert isinstance(loaded, LocalModel)
        processor = loaded.processor
        if processor.cache is None or not processor.sees:
            return
        for path in paths:
            if stop.is_set():
                return
            processor.cache.keep(path, processor.form)

    def embedding_model(self) -> EmbeddingModel:
        """The model as it is named, without what was fine-tuned; its vectors are kept in the checkpoint, if any are.

        KdslError for a server's model, whose hidden states nobody can see.
        """
        from kdsl.vlm.cache import CachedModel

        if self.remote:
            raise KdslError(
                f"prompt.embeddings: model needs a model in this process, but `large: {self.name}` is a server; set "
                "`embeddings: text`, or name the model's directory"
            )
        if self._embedding is None:
            tuned = [model for key, model in self._loaded.items() if key.startswith(f"{self.name} with ")]
            # Only models in this process have adapters.
            model = cast("LocalModel", tuned[0]).with_adapter(None) if tuned else self._load(self.name)
            # Processes that train together do not write into one file.
            path = self.checkpoint / TUNED_FOLDER / f"embeddings{os.environ.get('RANK', '')}.jsonl"
            self._embedding = CachedModel(model, path) if self.keeping else cast("LocalModel", model)
        return self._embedding

    def token_counter(self, model: VisionLanguageModel) -> Callable[[str], int]:
        """Counts the tokens that an answer of `model`, which `open` gave, takes at most."""
        if self.remote:  # a server does not tell its tokens, but a token is a byte at least; the end is one more
            return lambda answer: len(answer.encode()) + 1
        from kdsl.vlm.local import LocalModel

        assert isinstance(model, LocalModel)
        return lambda answer: len(model.processor.answer_ids(answer))

    def release(self) -> None:
        """Let go of all weights in memory."""
        self._loaded.clear()
        self._embedding = None
        if not self.remote:
            import torch

            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _load(self, name: str, of: str = "") -> VisionLanguageModel:
        """`of` is the fingerprint of what may be trained again; what it was before is let go of."""
        key = f"{name} {of}".rstrip()
        if key not in self._loaded:
            if of:
                for other in [other for other in self._loaded if other.startswith(f"{name} ")]:
                    del self._loaded[other]
            if not of:
                self._tell_doubts()
            self._loaded[key] = load_model(
                name, self.budget, self.max_tokens, consent=self.consent, pictures=self.pictures
            )
        return self._loaded[key]

    def _tell_doubts(self) -> None:
        """Warn of what may be different from how the weights were trained, where something beside them tells."""
        record = TrainingRecord.of(self.name)
        for doubt in () if record is None else record.doubts(self.budget, self.sees()):
            log.warning("%s: %s", self.name, doubt)


def _local(name: str) -> ModuleType:
    """The module that knows model directories; KdslError where the extra `vlm` is missing."""
    try:
        from kdsl.vlm import checkpoint
    except ImportError as error:
        raise without_extra(name, error) from error
    return checkpoint
