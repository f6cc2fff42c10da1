"""What a project predicts with."""

from kdsl.arbiter.predictor import Predictor
from kdsl.cli.large import large_model
from kdsl.cli.project import Project
from kdsl.fields.pages import PageFiller


def ready(project: Project) -> tuple[Predictor, PageFiller]:
    """The predictor of a project's checkpoint, and what reads the text on new images for it."""
    config, data = project.config, project.config.data
    sidecars = project.sidecars()
    predictor = Predictor(
        project.tasks, config.checkpoint, config.rules, config.recorded, sidecars, large_model(project)
    )
    return predictor, PageFiller(sidecars, data.images, data.ocr)
