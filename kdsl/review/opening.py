"""Opening a project for review: what the page shows, read now and read again when its files change."""

from functools import partial

from kdsl.config import ProjectConfig
from kdsl.project.project import Project
from kdsl.project.recorded import data_orders
from kdsl.review.dataset import Dataset, Source
from kdsl.review.live import LiveSite


def open_live(project: Project, by: str) -> LiveSite:
    """Everything that the page shows of a project, read and counted, and read again when its files change."""

    config, data = project.config, project.config.data
    tasks = [config.folder / name for name in config.tasks]
    files = [data.train, data.ocr, data.captions, data.questions, *(path for path in tasks if path.is_file())]
    return LiveSite(config, Source(partial(_read, config), [path for path in files if path is not None]), by)


def _read(config: ProjectConfig) -> Dataset:
    """Everything that the data files of a project say now."""
    now = Project(config)
    samples = {task.name: now.task_samples(task) for task in now.tasks}
    return Dataset(now.tasks, samples, now.sidecars(), data_orders(now))
