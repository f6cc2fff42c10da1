"""What results depend on, as values that change when it does: not where files lie, but what stands in them."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kdsl.file_names import safe_name
from kdsl.files import existing_file, file_hash, stamp_of
from kdsl.locks import is_lock
from kdsl.project.project import Project, Split
from kdsl.result_shards import result_shards
from kdsl.sample import Sample


def task_files(project: Project) -> object:
    """The tasks as their files describe them."""
    return project.tasks


def train_samples(project: Project) -> object:
    """The file of training samples, the labels that people gave, and feedback."""
    return _content(project, project.config.data.train), given_labels(project), feedback(project)


def given_labels(project: Project) -> object:
    """What people say that training samples are; that they confirmed labels changes nothing."""
    log = project.label_log
    if not log.path.exists():
        return None
    given = log.given()
    labels = sorted((*key, fingerprint, each.label) for key, fingerprint, each in given if len(each.labels) > 1)
    return (labels, _content(project, project.config.data.unlabelled)) if labels else None


def feedback(project: Project) -> object:
    """What people say of samples that the service decided, and the test samples, which are left out of that."""
    words = project.feedback_log.words()
    said = sorted((*word.sample.key, word.number, word.sample.fingerprint, repr(word.sample.answer)) for word in words)
    return (said, test_samples(project)) if said else None


def test_samples(project: Project) -> object:
    """The file of test samples."""
    return _content(project, project.config.data.test)


def unlabelled_samples(project: Project) -> object:
    """The file of samples without labels, and what is known of their images."""
    path = project.config.data.unlabelled
    if path is None or not path.exists():
        return None
    known = project.sidecars()
    images, sounds = project.kept.made(
        ("unlabelled media", path), (stamp_of(path), project.tasks), lambda: _media(project.iterate_samples(path))
    )
    pages = [(i, known.ocr.get(i), known.captions.get(i), sorted(known.answers.get(i, {}).items())) for i in images]
    said = [(sound, known.transcripts.get(sound)) for sound in sounds]
    return _content(project, path), pages, _stamps(project.config.data.images, images), *([said] if said else [])


def train_images(project: Project) -> object:
    """Name, size and time of the training samples' images."""
    return image_stamps(project, ["train"])


def all_images(project: Project) -> object:
    """The same of training and test samples."""
    return image_stamps(project, project.splits)


def train_audio(project: Project) -> object:
    """Name, size and time of the training samples' sounds."""
    return _stamps(project.config.data.audio, _audio(project, ["train"]))


def all_audio(project: Project) -> object:
    """The same of training and test samples."""
    return _stamps(project.config.data.audio, _audio(project, project.splits))


def train_transcripts(project: Project) -> object:
    """What is said in the training samples' sounds."""
    return _transcripts(project, ["train"])


def all_transcripts(project: Project) -> object:
    """The same of training and test samples."""
    return _transcripts(project, project.splits)


def train_pages(project: Project) -> object:
    """The text on the training samples' images, and their captions."""
    return _pages(project, ["train"])


def all_pages(project: Project) -> object:
    """The same of training and test samples."""
    return _pages(project, project.splits)


def train_vqa(project: Project) -> object:
    """What visual questions about the training samples' images were answered."""
    return _vqa(project, ["train"])


def all_vqa(project: Project) -> object:
    """The same of training and test samples, about whose images questions are asked while they are predicted."""
    return _vqa(project, project.splits)


def unread_images(project: Project) -> list[str] | None:
    """The images whose text nobody has read; None where the project has no place for it."""
    known = project.sidecars().ocr
    return None if project.config.data.ocr is None else [i for i in _images(project, project.splits) if i not in known]


def sounds_without_transcript(project: Project) -> list[str] | None:
    """The sounds that nobody has transcribed; None where the project has no place for it."""
    known = project.sidecars().transcripts
    if project.config.data.transcripts is None:
        return None
    return [sound for sound in _audio(project, project.splits) if sound not in known]


def images_without_caption(project: Project) -> list[str]:
    """The images that nobody has described."""
    known = project.sidecars().captions
    return [image for image in _images(project, project.splits) if image not in known]


def unanswered_questions(project: Project) -> object:
    """What active rules ask about training images that nobody has answered: only questions of people, as rules that
    mining finds ask what was answered before."""
    from kdsl.project.small import rule_questions

    answers = project.sidecars().answers
    return [
        question
        for task in project.tasks
        for question in rule_questions(project, task)
        if any(question not in answers.get(i, ()) for s in project.task_samples(task) for i in s.images)
    ]


def can_read_images(project: Project) -> object:
    """Whether RapidOCR is installed."""
    from kdsl.fields.ocr import ocr_installed

    return ocr_installed()


def can_transcribe(project: Project) -> object:
    """Whether the packages are installed that `speech` needs."""
    from kdsl.audio.load import speech_installed

    return speech_installed(project.config.speech)


def sentence_encoder(project: Project) -> object:
    """Whose sentence vectors there are, by its weights; None where there are none, as its package is missing."""
    vectors = project.vectors
    return vectors.identity if vectors is not None and vectors.available else None


def page_network(project: Project) -> object:
    """The network that the classifier sees images through, by its weights; None without images or RapidOCR."""
    from kdsl.fields.page_network import page_network

    network = None if project.pictures is None else page_network()
    return None if network is None else network.identity


def rule_files(project: Project) -> object:
    """The rules of all tasks, as people left them, and what mining measured."""
    return contents((project.config.rules / task.name for task in project.tasks), project.config.folder)


def mined_files(project: Project) -> object:
    """What mining left in the checkpoint."""
    from kdsl.mining.archive import ARCHIVE_FILE

    return _task_files(project, ARCHIVE_FILE)


def trained_files(project: Project) -> object:
    """What training left in the checkpoint, by the last file that it writes."""
    from kdsl.arbiter.arbiter import ARBITER_FILE

    return _task_files(project, ARBITER_FILE)


def evaluation_files(project: Project) -> object:
    """What evaluating left: the report, the predictions of test samples, and answers about their images."""
    files = [evaluation_folder(project) / "report.json"]
    if project.config.data.test is not None:
        files.append(predictions_file(project))
    return [_content(project, path) for path in files], all_vqa(project)


def evaluation_folder(project: Project) -> Path:
    """Where `kdsl run` writes how good the project is."""
    return project.config.checkpoint / "evaluation"


def test_folder(project: Project, file: Path) -> Path:
    """Where `kdsl evaluate --test FILE` does."""
    return evaluation_folder(project) / safe_name(f"test-{file.stem}")


def comparison_folder(project: Project) -> Path:
    """Where `kdsl evaluate` compares two runs that are kept."""
    return evaluation_folder(project) / "comparison"


def predictions_file(project: Project) -> Path:
    """Where `kdsl run` writes its predictions of the test samples."""
    return project.config.checkpoint / "predictions.jsonl"


def knowledge_files(project: Project) -> object:
    """The folder about products and the shop."""
    folder = project.config.data.knowledge
    return None if folder is None else contents([folder], folder)


def reasons_file(project: Project) -> object:
    """The reasons why samples have their labels."""
    return _content(project, project.config.data.reasons)


def distilled_file(project: Project) -> object:
    """The samples that a teacher labelled."""
    return _content(project, project.config.data.distilled)


def recorded_answers(project: Project) -> object:
    """The predictions of a recorded model, and the record of the export that they may be for."""
    from kdsl.models.large.export_record import EXPORT_FILE

    path = project.config.recorded
    folders = [] if path is None else [path.parent, path.parent.parent]
    exported = [found for folder in folders if (found := _content(project, folder / EXPORT_FILE)) is not None]
    return [_content(project, path), *exported] if exported else _content(project, path)


def image_stamps(project: Project, splits: Iterable[Split]) -> list[tuple[str, int, int]]:
    """Name, size and time of every image of the samples that is there."""
    return _stamps(project.config.data.images, _images(project, splits))


def _stamps(folder: Path | None, names: Iterable[str]) -> list[tuple[str, int, int]]:
    if folder is None:
        return []
    known = []
    for name in names:
        path = existing_file(folder, name)
        if path is not None:
            status = path.stat()
            known.append((name, status.st_size, status.st_mtime_ns))
    return known


def contents(folders: Iterable[Path], within: Path) -> str:
    """Hash of the names, as seen from `within`, and contents of all files below the folders, but for locks."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file() and not is_lock(path)]
    return json.dumps([os.path.relpath(path, within) for path in files]) + file_hash(*files)


def _content(project: Project, path: Path | None) -> str | None:
    """Hash of a file, or of the results of shards in a folder."""
    return None if path is None or not path.exists() else project.kept.file(path, _hash)


def _hash(path: Path) -> str:
    return file_hash(*result_shards(path)) if path.is_dir() else file_hash(path)


def _images(project: Project, splits: Iterable[Split]) -> list[str]:
    return _media(_samples(project, splits))[0]


def _audio(project: Project, splits: Iterable[Split]) -> list[str]:
    return _media(_samples(project, splits))[1]


def _samples(project: Project, splits: Iterable[Split]) -> Iterator[Sample]:
    return (sample for split in splits if split in project.splits for sample in project.samples(split))


def _media(samples: Iterable[Sample]) -> tuple[list[str], list[str]]:
    """The names of their images and of their sounds."""
    images, sounds = set[str](), set[str]()
    for sample in samples:
        images.update(sample.images)
        sounds.update(sample.audio)
    return sorted(images), sorted(sounds)


def _pages(project: Project, splits: Iterable[Split]) -> list[object]:
    known = project.sidecars()
    return [(image, known.ocr.get(image), known.captions.get(image)) for image in _images(project, splits)]


def _transcripts(project: Project, splits: Iterable[Split]) -> list[object]:
    known = project.sidecars().transcripts
    return [(sound, known.get(sound)) for sound in _audio(project, splits)]


def _vqa(project: Project, splits: Iterable[Split]) -> list[object]:
    answers = project.sidecars().answers
    return [(image, sorted(answers.get(image, {}).items())) for image in _images(project, splits)]


def _task_files(project: Project, name: str) -> list[tuple[str, str | None]]:
    return [(task.name, _content(project, project.config.checkpoint / task.name / name)) for task in project.tasks]
