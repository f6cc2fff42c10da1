"""Fine-tuning reads no key of kdsl.yaml that its step does not declare."""

from keys_read import keys_read
from tiny_project import write_project

from kdsl.project.dependencies import digest, left
from kdsl.project.project import Project
from kdsl.project.steps import Pipeline


def test_fine_tuning_reads_what_the_steps_declare(tiny_model, tmp_path):
    folder = write_project(tmp_path / "project", tiny_model)
    changes = "mining.iterations=5", "augment.copies=1", "training.epochs=1", "prompt.ocr=true"
    pipeline = Pipeline(Project.open(folder, changes), 1, lambda line: None)
    project = Project.open(folder, changes)
    for step in ("mine", "train", "evaluate"):
        with keys_read() as declared:
            digest(project, step)
            left(project, step)
        with keys_read() as noted:
            getattr(pipeline, step)()
        # Without data.ocr a warning tells of prompt.ocr, in whichever step first looks at images; a run that is kept
        # says what all files were.
        files = {"data.knowledge", "data.relabelled", "data.feedback"}
        # Who would write down sounds that nobody has transcribed before.
        assert noted - declared <= {"checkpoint", "prompt.ocr", "speech", *files}, step
