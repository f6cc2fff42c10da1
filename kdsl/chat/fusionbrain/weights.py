"""Where the weights of an export lie here, and where in it."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from kdsl.config import EMBEDDED_SPEECH, ProjectConfig
from kdsl.errors import KdslError
from kdsl.hosts import is_address
from kdsl.pretrained import directory_of, fingerprint, without_extra

FOLDER = Path("weights")
"""Below team_code."""
PROJECTION = "projection"


def sources(config: ProjectConfig) -> dict[str, Path]:
    """What stands in the export as weights/NAME → its directory here: `model`, and `adapter`, `speech`, `encoder` and
    `projection` if the project has such.

    Raises KdslError where `large:` names no model, for a server, as there is no network where the export runs, and for
    what is not here.
    """
    name = config.large_model
    if name is None:
        raise KdslError(f"large: {config.large} answers no dialogues; name a model's directory")
    try:
        from kdsl.vlm.checkpoint import adapter_base, find_model, is_adapter
        from kdsl.vlm.projection import ProjectionCard
    except ImportError as error:
        raise without_extra(name, error) from error
    found = {}
    if is_adapter(name):
        if config.projection is not None:
            raise KdslError(f"{name}: is an adapter, which cannot be exported with a projection; name its base")
        found["adapter"] = Path(name).expanduser()
        name = adapter_base(found["adapter"])
    found["model"] = directory(name)
    find_model(str(found["model"]))
    if config.speech != EMBEDDED_SPEECH:
        found["speech"] = directory(config.speech)
    if config.projection is not None:
        found["encoder"] = directory(config.projection.encoder)
        found[PROJECTION] = config.projection_folder
        ProjectionCard.load(found[PROJECTION])
    return found


def adopt_projection(sources: Mapping[str, Path], target: Path) -> None:
    """Write the projection into `target`, as one of the directories that its model and encoder have been found in.

    It was trained with what kdsl.yaml names, which may be hub ids: a projection is refused beside any other weights.
    """
    from kdsl.vlm.projection import ProjectionCard

    copy_weights(sources[PROJECTION], target)
    names = {"model": "model", "encoder": "encoder"}
    weights = {f"{name}_weights": fingerprint(str(sources[name])) for name in names}
    ProjectionCard.load(target).model_copy(update={**names, **weights}).save(target)


def directory(name: str) -> Path:
    """The directory of a model that is one, or of a hub id that was fetched before."""
    if is_address(name):
        raise KdslError(f"{name}: is a server, but the export runs without a network; name a model's directory")
    return directory_of(name)


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a model relative to its directory, sorted; hidden ones are of tools."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative


def copy_weights(source: Path, target: Path) -> None:
    """Copy a model's directory; what links lead to is copied itself, as in the hub's cache."""
    for relative in files_of(source):
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / relative, target / relative)
