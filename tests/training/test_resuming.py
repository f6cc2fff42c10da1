"""Training that was killed goes on, and ends as if it had not been."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from kdsl.models.large.card import TrainingCard
from kdsl.training.resuming import last_checkpoint, prepare_steps

STEPS = "checkpoints/run/large/joint.training"

KILLED = """
import os, signal
from transformers import Trainer
from kdsl.cli import main
save = Trainer._save_checkpoint
def save_and_die(*arguments, **options):
    save(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
Trainer._save_checkpoint = save_and_die
main()
"""


def losses(project: Path) -> list[float]:
    card = TrainingCard.load(project / "checkpoints/run/large/joint")
    assert card is not None
    return [entry["loss"] for entry in card.history if "loss" in entry]


def test_training_killed_in_the_middle_gives_the_same_loss_curve(kdsl, project, monkeypatch):
    from kdsl.training.label_trainer import LabelTrainer

    expected = losses(project)
    shutil.rmtree(project / "checkpoints/run/large")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", KILLED, "train", project], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert last_checkpoint(project / STEPS) is not None

    done = []
    step = LabelTrainer.training_step
    monkeypatch.setattr(LabelTrainer, "training_step", lambda *a, **k: done.append(1) or step(*a, **k))
    assert kdsl("train", project).code == 0
    assert 0 < len(done) < len(expected)
    assert losses(project) == pytest.approx(expected, abs=1e-3)
    assert not (project / STEPS).exists()


def test_a_checkpoint_that_was_not_written_to_its_end_is_not_used(tmp_path):
    for step, state in ((8, '{"global_step": 8}'), (16, '{"global_step": 16}'), (24, '{"global'), (32, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-16")


def test_checkpoints_of_another_training_are_not_gone_on_from(tmp_path):
    prepare_steps(tmp_path / "steps", "one")
    (tmp_path / "steps/checkpoint-8").mkdir()
    prepare_steps(tmp_path / "steps", "one")
    assert (tmp_path / "steps/checkpoint-8").exists()
    prepare_steps(tmp_path / "steps", "another")
    assert not (tmp_path / "steps/checkpoint-8").exists()
