"""The model that a command asks about training data, and what it is shown of them.

Its answers are kept, and a server is asked several at once.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdsl.models.large.prompts import Prompts
    from kdsl.project.project import Project
    from kdsl.sample import Sample
    from kdsl.vlm.cache import CachedModel

_log = logging.getLogger(__name__)

AT_ONCE = 8
"""Samples that a server is asked about at the same time."""


def open_model(
    project: "Project", name: str, answers: Path, timeout: float, retries: int, by_hand: bool = False
) -> tuple["CachedModel", int]:
    """The model in a directory, of a hub id or at an address, with its answers in a file; how many threads may ask it.

    `by_hand` says that the user typed the name, and so allows this run to contact it.
    Raises KdslError in one sentence for a model that cannot be loaded or reached.
    """
    from kdsl.hosts import is_address
    from kdsl.vlm.cache import CachedModel
    from kdsl.vlm.load import load_model
    from kdsl.vlm.picture_cache import PICTURES_FOLDER
    from kdsl.vlm.pixels import PixelBudget
    from kdsl.vlm.server.model import ServedModel

    budget = PixelBudget(project.config.pixels.min, project.config.pixels.max)
    if is_address(name):
        consent = replace(project.consent, by_hand=(name,)) if by_hand else project.consent
        server = ServedModel.connect(name, budget, timeout, retries, consent=consent)
        return CachedModel(server, answers), AT_ONCE
    pictures = project.config.checkpoint / PICTURES_FOLDER
    return CachedModel(load_model(name, budget, pictures=pictures), answers), 1


def shown_prompts(project: "Project", model: "CachedModel", samples: "Sequence[Sample]") -> "Prompts":
    """The project's prompts for `samples`, without what is learned from others.

    Where `prompt.ocr` shows the text on their images, a model that takes no pictures is shown that alone, which a
    warning tells.
    """
    from kdsl.models.large.prompts import Prompts
    from kdsl.vlm.server.model import ServedModel

    data, shown = project.config.data, project.config.prompt
    pictures = True
    if shown.ocr and any(sample.images for sample in samples):
        pictures = model.sees()
        if not pictures:
            asked = model.model
            name = asked.model if isinstance(asked, ServedModel) else model.identity.partition(" ")[0]
            _log.warning("%s takes no pictures: of images it is shown the text on them alone (prompt.ocr)", name)
    return Prompts(
        data.images,
        shown.descriptions,
        shown.ocr,
        shown.ocr_tokens,
        audio=data.audio,
        sees=lambda: pictures,
        hears=model.hears,
    )
