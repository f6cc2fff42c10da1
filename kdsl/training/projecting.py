"""Training a projection: its map and marks learn from answers, the language model and the encoder stay as they are."""

import hashlib
import io
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.files import parsing, write_atomically
from kdsl.models.large.card import installed_versions
from kdsl.pretrained import fingerprint, is_out_of_memory
from kdsl.progress import Advance, Progress, reported
from kdsl.training.data import data_hash
from kdsl.training.dialogues import TaughtDialogue, examples_of, hold_out_dialogues
from kdsl.training.examples import Encoded, Examples
from kdsl.training.loss import answer_logits, answer_loss
from kdsl.training.packing import Collator, row_tokens
from kdsl.training.resuming import prepare_steps
from kdsl.vlm.checkpoint import find_model
from kdsl.vlm.encoder import Encoder
from kdsl.vlm.local import LocalModel
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.projected import ProjectedModel
from kdsl.vlm.projection import Projection, ProjectionCard

LEARNING_RATE = 3e-4
"""That of FROMAGe (arXiv 2301.13823), where `training.learning_rate` names none."""
_WARM_UP = 0.1
"""Share of the steps in which the rate rises; then it falls along a cosine."""
_CLIPPED = 1.0
"""Length of the gradient, at most."""
_STATE_FILE = "state.pt"


@dataclass(frozen=True)
class ProjectionRecipe:
    """Everything that decides what a projection becomes, but for the dialogues."""

    model: str
    """The language model's directory or hub id."""
    tokens: int
    """Vectors that a sound or picture becomes."""
    budget: PixelBudget
    max_tokens: int
    training: TrainingConfig
    seed: int
    device: str | None = None
    """None: the GPU where there is one."""

    @property
    def rate(self) -> float:
        return self.training.learning_rate or LEARNING_RATE


def train_projection(
    recipe: ProjectionRecipe,
    dialogues: Sequence[TaughtDialogue],
    encoder: Encoder,
    folder: Path,
    progress: Progress | None = None,
) -> ProjectionCard:
    """Learn from the answers in dialogues, whose conversations hold sounds or pictures; the result is in `folder`.

    What is there already is kept when it was made from the same. A run that was interrupted goes on from its last
    epoch, and ends as if it had not been. Raises KdslError for dialogues that are too few, and in one sentence for a
    model or a file that cannot be used.
    """
    taught, held_out = hold_out_dialogues(dialogues, recipe.training.held_out, recipe.seed)
    weights = fingerprint(find_model(recipe.model))
    identity = _identity(recipe, weights, encoder, taught, held_out)
    try:
        known = ProjectionCard.load(folder)
        if known.fingerprint == identity:
            Projection.load(folder, known)
            return known
    except KdslError:
        pass  # nothing is there, or something that is damaged
    steps = folder.with_name(f"{folder.name}.training")
    prepare_steps(steps, identity)
    with reported(progress, "Loading the model", None):
        local = LocalModel.load(recipe.model, recipe.budget, recipe.max_tokens, recipe.device)
    lessons = _Lessons(recipe, local, encoder, taught, held_out, progress)
    state = _train(recipe, lessons, steps / _STATE_FILE, progress)
    card = ProjectionCard(
        fingerprint=identity,
        encoder=encoder.name,
        encoder_weights=encoder.weights,
        kind=encoder.kind,
        model=recipe.model,
        model_weights=weights,
        size=encoder.size,
        tokens=recipe.tokens,
        width=lessons.projection.width,
        training=recipe.training,
        learning_rate=recipe.rate,
        seed=recipe.seed,
        dialogues={"train": len(taught), "held_out": len(held_out)},
        answers={"train": len(lessons.taught), "held_out": len(lessons.held_out)},
        held_out=tuple(dialogue.id for dialogue in held_out),
        best=state.best,
        history=state.history,
        versions=installed_versions(),
    )
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    lessons.projection.save(new)
    card.save(new)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    shutil.rmtree(steps)
    return card


class _Lessons:
    """A frozen language model with a projection, and the answers that it learns from."""

    def __init__(
        self,
        recipe: ProjectionRecipe,
        local: LocalModel,
        encoder: Encoder,
        taught: Sequence[TaughtDialogue],
        held_out: Sequence[TaughtDialogue],
        progress: Progress | None,
    ) -> None:
        examples, more = examples_of(taught), examples_of(held_out)
        words = local.model.get_input_embeddings().weight
        local.model.requires_grad_(False)
        self.projection = Projection(encoder.size, recipe.tokens, words.shape[1])
        projected = ProjectedModel(local, encoder, self.projection, "in training")
        projected.look_at([example.conversation for example in (*examples, *more)], progress)
        # Those of the training answers come first, and no file stands on both sides.
        n_taught = len({piece for example in examples for piece in projected.projected(example.conversation)})
        self.projection.initialise(projected.embeddings.features[:n_taught], words, recipe.seed)
        self._model, self._processor = local.model, projected.processor
        self._collate = Collator(projected.processor, row_tokens(local.model))
        self._examples = Examples([*examples, *more], projected.processor)
        self._encoded: dict[int, Encoded] = {}
        self.taught, self.held_out = range(len(examples)), range(len(examples), len(examples) + len(more))
        """Rows of the answers."""

    def loss(self, rows: Sequence[int], at_once: int, learn: bool = False) -> float:
        """The mean of -ln p over the tokens of these answers, their end tokens included.

        To `learn` is to add the gradient of it to that of the projection.
        """
        encoded = [self._encode(row) for row in rows]
        n_tokens, total = sum(len(each.answer) for each in encoded), 0.0
        with torch.set_grad_enabled(learn):
            for start in range(0, len(encoded), at_once):
                batch = self._collate(encoded[start : start + at_once])
                batch = self._processor.inputs(batch, self._model.device)
                logits = answer_logits(self._model, self._model, batch)
                loss = answer_loss(logits, batch["targets"], batch["weights"], torch.tensor(n_tokens))
                if learn:
                    loss.backward()
                total += loss.item()
        return total

    def _encode(self, row: int) -> Encoded:
        """Kept where it is not much: without patches of pictures or the spectrograms of sounds."""
        if row in self._encoded:
            return self._encoded[row]
        found = self._examples[row]
        if found.prompt.pixel_values is None and found.prompt.input_features is None:
            self._encoded[row] = found
        return found


@dataclass
class _State:
    """How far a training is, after an epoch."""

    epoch: int = 0
    """Epochs that are done."""
    best: int = 0
    """The one after which the held-out answers were most probable, from 1; 0 before the first."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """See `ProjectionCard.history`."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """The projection after the best epoch."""

    def add(self, loss: float, held_out: float, projection: Projection) -> None:
        self.epoch += 1
        self.history.append({"epoch": self.epoch, "loss": loss, "held_out": held_out})
        if not self.best or held_out < self.history[self.best - 1]["held_out"]:
            self.best = self.epoch
            self.kept = {name: tensor.detach().cpu().clone() for name, tensor in projection.state_dict().items()}

    def save(self, path: Path, projection: Projection, optimiser: torch.optim.Optimizer) -> None:
        content = io.BytesIO()
        torch.save([vars(self), projection.state_dict(), optimiser.state_dict()], content)
        write_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: Path, projection: Projection, optimiser: torch.optim.Optimizer) -> "_State":
        """What `save` wrote; KdslError where it is damaged."""
        with parsing(path, "not the state of a training", "delete it to begin anew"):
            state, numbers, moments = torch.load(path, map_location=projection.weight.device, weights_only=True)
            projection.load_state_dict(numbers)
            optimiser.load_state_dict(moments)
            return cls(**state)


def _train(recipe: ProjectionRecipe, lessons: _Lessons, path: Path, progress: Progress | None) -> _State:
    """Learn, from what stands at `path` on; the projection is then the best one."""
    training, projection = recipe.training, lessons.projection
    optimiser = torch.optim.AdamW(projection.parameters(), lr=recipe.rate, weight_decay=0.0)
    state = _State.load(path, projection, optimiser) if path.exists() else _State()
    per_epoch = -(-len(lessons.taught) // training.batch)
    total = per_epoch * training.epochs
    with reported(progress, "Learning the projection", total - per_epoch * state.epoch) as advance:
        try:
            while state.epoch < training.epochs and state.epoch - state.best < training.patience:
                loss = _epoch(recipe, lessons, optimiser, state.epoch, total, advance)
                judged = lessons.loss(lessons.held_out, training.at_once or 1)
                if not math.isfinite(loss + judged):
                    raise KdslError(
                        f"the loss in epoch {state.epoch + 1} is {loss + judged}; lower training.learning_rate"
                    )
                state.add(loss, judged, projection)
                state.save(path, projection, optimiser)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"epoch {state.epoch + 1} is begun again by the same command") from None
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise KdslError(
                f"out of memory on {projection.weight.device} in training; lower training.at_once, pixels.max or "
                "chat.max_tokens, or take a smaller model"
            ) from error
    projection.load_state_dict(state.kept)
    return state


def _epoch(
    recipe: ProjectionRecipe,
    lessons: _Lessons,
    optimiser: torch.optim.Optimizer,
    number: int,
    total: int,
    advance: Advance,
) -> float:
    """Learn from every answer once, in an order that the seed and the epoch's number give; the mean of the losses."""
    training = recipe.training
    order = np.random.default_rng([recipe.seed, number]).permutation(lessons.taught).tolist()
    batches = [order[start : start + training.batch] for start in range(0, len(order), training.batch)]
    losses = []
    for step, rows in enumerate(batches, start=number * len(batches)):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * _share_of_rate(step, total)
        optimiser.zero_grad()
        losses.append(lessons.loss(rows, training.at_once or 1, learn=True))
        nn.utils.clip_grad_norm_(lessons.projection.parameters(), _CLIPPED)
        optimiser.step()
        advance(f"Learning the projection, loss {losses[-1]:.3f}")
    return float(np.mean(losses))


def _share_of_rate(step: int, total: int) -> float:
    """Of the learning rate, in step `step` (from 0) of `total`."""
    risen = (step + 1) / max(1.0, _WARM_UP * total)
    fallen = (1 + math.cos(math.pi * step / total)) / 2
    return min(risen, 1.0) * fallen


def _identity(
    recipe: ProjectionRecipe,
    weights: str,
    encoder: Encoder,
    taught: Sequence[TaughtDialogue],
    held_out: Sequence[TaughtDialogue],
) -> str:
    """Hash of all that the numbers depend on."""
    examples = [*examples_of(taught), *examples_of(held_out)]
    settings = recipe.training.model_dump(include={"epochs", "batch", "patience", "held_out"})
    limits = [recipe.budget.min_pixels, recipe.budget.max_pixels, recipe.max_tokens]
    described = [weights, encoder.weights, recipe.tokens, settings, recipe.rate, limits, recipe.seed]
    described += [data_hash(examples), len(examples_of(taught))]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()
