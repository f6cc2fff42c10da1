"""A fine-tuned model as one directory without LoRA, which servers and other tools load as it is."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.files import cannot_write, is_there, write_atomically
from kdsl.json_file import read_json
from kdsl.locks import claimed, is_lock
from kdsl.models.large.card import CURVES, TrainingCard
from kdsl.pretrained import directory_of, fingerprint, model_name
from kdsl.progress import Progress, reported, track
from kdsl.version import __version__
from kdsl.vlm.pixels import PixelBudget

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EXPORTED_FILE = "export.json"
"""Tells an export from any other folder."""
_CONTEXT = 32768
"""Tokens of prompt and answer that a server is told to take, where the model takes as many."""
_SPARE = 64 << 20
"""Bytes for all files that are no weights: tokenizers have 10 to 20 million."""


@dataclass(frozen=True)
class ModelExport:
    """What is exported, before anything of it is loaded."""

    source: Path
    """The directory of an adapter, or of a whole model that was fine-tuned."""
    base: str
    """What it was trained on: a directory or a hub id."""
    budget: PixelBudget
    """Of the pictures in training."""
    card: TrainingCard | None
    size: int
    """Bytes of its weights."""
    merges: bool
    """Whether it is an adapter, which is merged into its base."""

    def __str__(self) -> str:
        """What is about to happen, in a sentence for people."""
        gb = f"{self.size / 1e9:.1f} GB"
        if self.merges:
            return f"{self.source}: is merged into {self.base}, which takes {gb} of memory and as much of the disk"
        return f"{self.source}: a whole model of {gb}, which is copied"

    def write(self, output: Path, progress: Progress | None = None) -> None:
        """Write the model into `output`, whole or not at all; an earlier export there is replaced.

        Raises KdslError for a folder that holds anything else, where the disk has no room, and as
        `kdsl.vlm.merging.merged` does.
        """
        with claimed(folders=[output]), _replacing(output, self.size + _SPARE) as work:
            if self.merges:
                self._merge(work, progress)
            else:
                self._copy(work, progress)
            if self.card is not None:
                self.card.save(work)
                if is_there(self.source / CURVES):  # which card.md shows
                    shutil.copyfile(self.source / CURVES, work / CURVES)
            told = {"kdsl": __version__, "base": self.base, "of": fingerprint(str(self.source))}
            write_atomically(work / "README.md", _readme(self, output.resolve()))
            write_atomically(work / EXPORTED_FILE, json.dumps(told, ensure_ascii=False, indent=1) + "\n")

    def _merge(self, work: Path, progress: Progress | None) -> None:
        from kdsl.vlm.merging import merged
        from kdsl.vlm.saving import save_model

        model: PreTrainedModel = merged(self.base, self.source, progress)
        with reported(progress, "Writing", 1) as advance:
            save_model(model, self.base, work, self.budget)
            advance("Writing")

    def _copy(self, work: Path, progress: Progress | None) -> None:
        from kdsl.vlm.saving import copy_companions

        weights = [*self.source.glob("*.safetensors"), *self.source.glob("*.safetensors.index.json")]
        for path in track(sorted(weights), "Copying", len(weights), progress):
            shutil.copyfile(path, work / path.name)
        copy_companions(str(self.source), work, self.budget)


@contextmanager
def _replacing(output: Path, size: int) -> Iterator[Path]:
    """A folder beside `output` that takes its place in the end; where anything fails, all is as before."""
    _require_replaceable(output)
    place = output.resolve()
    work = place.with_name(f".{place.name}.unfinished")
    old = place.with_name(f".{place.name}.old")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place.parent).free
        if free < size:
            raise KdslError(
                f"{output}: needs {size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free there; free some space, or "
                "name a folder on another disk"
            )
        for left in (work, old):
            shutil.rmtree(left, ignore_errors=True)
        work.mkdir()
        yield work
        if place.is_dir():
            place.rename(old)
        work.rename(place)
    except BaseException as error:
        shutil.rmtree(work, ignore_errors=True)
        if not place.is_dir() and old.is_dir():
            old.rename(place)
        if isinstance(error, OSError):
            raise cannot_write(output, error) from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def _require_replaceable(output: Path) -> None:
    if not is_there(output):
        return
    if not output.is_dir():
        raise KdslError(f"{output}: is a file; name a folder that is new or empty")
    inside = [path.name for path in output.iterdir() if not is_lock(path)]
    if inside and EXPORTED_FILE not in inside:
        raise KdslError(
            f"{output}: is not empty, and no export of KDSL's ({EXPORTED_FILE} is missing); name a folder that is new "
            "or empty"
        )


def _readme(export: ModelExport, place: Path) -> str:
    from kdsl.vlm.checkpoint import family_of

    card, name, family = export.card, place.name, family_of(export.base)
    text = read_json(directory_of(export.base) / "config.json")
    text = text.get("thinker_config", text)
    text = text.get("text_config", text)
    context = min(_CONTEXT, int(text.get("max_position_embeddings", _CONTEXT)))
    media = {"image": 4} if family.sees else {}
    media |= {"audio": 4} if family.hears else {}
    limit = f" --limit-mm-per-prompt '{json.dumps(media)}'" if media else ""
    how = "adapter merged into the weights" if export.merges else "all weights trained"
    pixels = f"pixels: {{min: {export.budget.min_pixels}, max: {export.budget.max_pixels}}}\n" if family.sees else ""
    prompt, tasks, target = "", "", ""
    if card is not None:
        shown = {key: str(value).lower() for key, value in card.prompt.items()}
        shown["max_tokens"] = str(card.max_tokens)
        prompt = f"prompt: {{{', '.join(f'{key}: {value}' for key, value in shown.items())}}}\n"
        tasks = f" For {', '.join(card.tasks)}; `card.md` tells what it was trained on and how it did."
        target = card.training.target
    keys = f"{pixels}{prompt}"
    local = f"training: {{method: none{'' if target in ('', 'label') else f', target: {target}'}}}\n"
    served = f"""## With vLLM

    vllm serve {_quoted(place)} --served-model-name {_quoted(name)} --max-model-len {context}{limit}

and in kdsl.yaml:

```yaml
large: http://localhost:8000/v1#{name}
{keys}```
"""
    if target not in ("", "label"):
        served = f"KDSL reads answers of the form `{target}` from a model in its own process alone.\n"
    return f"""# {name}

{model_name(export.base)}, fine-tuned with KDSL {__version__}: {how}.{tasks}

{served}
## In KDSL's own process

```yaml
large: {json.dumps(str(place), ensure_ascii=False)}
{local}{keys}```

Pictures have the sizes of training without further settings: they stand in `preprocessor_config.json`.
"""


def _quoted(value: object) -> str:
    """As a shell takes it."""
    import shlex

    return shlex.quote(os.fspath(value) if isinstance(value, Path) else str(value))
