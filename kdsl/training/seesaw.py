"""The seesaw between tasks: what one adapter for all costs each task, and where their weight updates pull apart."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from kdsl.errors import Hint, KdslError
from kdsl.files import parsing, read_bytes
from kdsl.training.examples import Example
from kdsl.training.fine_tuning import Recipe
from kdsl.training.held_out import WEIGHTED_F1, HeldOut
from kdsl.vlm.local import LocalModel

PER_TASK = "per task"
"""Each sample goes to the adapter of its task."""

_MODULE = re.compile(r"layers\.(\d+)\.(?:self_attn|mlp)\.(\w+?)_proj\.lora_A")
_WEIGHTS = "adapter_model.safetensors"
_ORDER = ("q", "k", "v", "o", "gate", "up", "down")


@dataclass(frozen=True)
class Cosines:
    """How alike the updates of two adapters are: 1 the same direction, 0 unrelated, -1 opposite."""

    first: str
    second: str
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    values: NDArray[np.float64]
    """[n_layers, n_modules]: the cosine of the weight updates B·A of one linear layer."""
    by_layer: NDArray[np.float64]
    """[n_layers]: the cosine of all updates of a layer taken together."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        layers = [
            {
                "layer": layer,
                "all": round(float(whole), 4),
                **{module: round(float(value), 4) for module, value in zip(self.modules, values, strict=True)},
            }
            for layer, values, whole in zip(self.layers, self.values, self.by_layer, strict=True)
        ]
        return {"tasks": [self.first, self.second], "modules": list(self.modules), "layers": layers}


@dataclass(frozen=True)
class Seesaw:
    """Weighted F1 of every adapter on every task, and the cosines of every two tasks' adapters."""

    f1: dict[str, dict[str, float]]
    """Adapter (a task's, "joint", `PER_TASK`) → task, and "all" for the tasks pooled → weighted F1."""
    cosines: tuple[Cosines, ...]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {"f1": self.f1, "cosines": [cosines.record() for cosines in self.cosines]}


def compare(
    model: LocalModel,
    adapters: Mapping[str, str],
    folders: Mapping[str, Path],
    examples: Sequence[Example],
    labels: Mapping[str, tuple[str, ...]],
    recipe: Recipe,
) -> Seesaw:
    """Score all examples with every adapter (name → its name in `model`), of which those in `labels` are one a task.

    `folders` (name → directory) hold the adapters' weights, `labels` the labels of every task.
    """
    judged = HeldOut(examples, dict(labels), recipe.training.target, recipe.most_tokens)
    predicted = {name: judged.predict(model.with_adapter(loaded)) for name, loaded in adapters.items()}
    predicted[PER_TASK] = [
        predicted[example.task][row] for row, example in enumerate(examples)
    ]  # fmt: skip
    f1 = {}
    for name, labels_found in predicted.items():
        metrics = judged.metrics(labels_found)
        f1[name] = {task: metrics.get(f"{WEIGHTED_F1}/{task}", metrics[WEIGHTED_F1]) for task in labels}
        f1[name]["all"] = metrics[WEIGHTED_F1]
    pairs = combinations(labels, 2)
    return Seesaw(f1, tuple(update_cosines(a, b, folders[a], folders[b]) for a, b in pairs))


def update_cosines(first: str, second: str, first_folder: Path, second_folder: Path) -> Cosines:
    """The cosines of two LoRA adapters' updates, without the full matrices:
    <B₁A₁, B₂A₂> = Σ (B₁ᵀB₂) ∘ (A₁A₂ᵀ). Raises KdslError unless both adapt the same layers."""
    one, other = _factors(first_folder), _factors(second_folder)
    if one.keys() != other.keys():
        raise KdslError(f"{first_folder} and {second_folder} adapt different layers; train both with the same KDSL")
    layers = tuple(sorted({layer for layer, _ in one}))
    modules = tuple(dict.fromkeys(module for _, module in sorted(one, key=lambda key: _ORDER.index(key[1]))))
    products = np.zeros((3, len(layers), len(modules)))
    for (layer, module), (a1, b1) in one.items():
        a2, b2 = other[layer, module]
        place = layers.index(layer), modules.index(module)
        for kind, ((a, b), (c, d)) in enumerate((((a1, b1), (a2, b2)), ((a1, b1), (a1, b1)), ((a2, b2), (a2, b2)))):
            products[kind][place] = float(((b.T @ d) * (a @ c.T)).sum())
    whole = products.sum(axis=2)
    return Cosines(first, second, layers, modules, _cosine(products), _cosine(whole))


def _cosine(products: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.sqrt(products[1] * products[2])
    return np.divide(products[0], lengths, out=np.zeros_like(lengths), where=lengths > 0)


def _factors(folder: Path) -> dict[tuple[int, str], tuple[torch.Tensor, torch.Tensor]]:
    """(layer, module) → A [r, in] and B [out, r] of an adapter."""
    found = {}
    with parsing(folder / _WEIGHTS, "not the weights of an adapter", Hint.TRAIN_AGAIN):
        weights = load(read_bytes(folder / _WEIGHTS))
        for name, a in weights.items():
            match = _MODULE.search(name)
            if match:
                found[int(match[1]), match[2]] = a.double(), weights[name.replace("lora_A", "lora_B")].double()
    return found


def seesaw_plot(seesaw: Seesaw) -> bytes:
    """The PNG: weighted F1 by adapter and task, and for every two tasks the cosines by layer and module."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n = len(seesaw.cosines)
    figure = Figure(figsize=(4.5 + 3.6 * n, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 1 + n, squeeze=False)[0]
    columns = list(next(iter(seesaw.f1.values())))
    width = 0.8 / len(seesaw.f1)
    for i, (name, scores) in enumerate(seesaw.f1.items()):
        places = np.arange(len(columns)) + i * width
        panels[0].bar(places, [scores[column] for column in columns], width, label=name)
    panels[0].set_xticks(np.arange(len(columns)) + 0.4 - width / 2, columns)
    panels[0].set_ylim(0, 1.02)
    panels[0].set_title("weighted F1 by adapter", fontsize=10)
    panels[0].legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(seesaw.f1))
    for axes, cosines in zip(panels[1:], seesaw.cosines, strict=True):
        shown = np.column_stack([cosines.values, cosines.by_layer])
        image = axes.imshow(shown, vmin=-1, vmax=1, cmap="RdBu", aspect="auto")
        axes.set_xticks(range(len(cosines.modules) + 1), [*cosines.modules, "all"], fontsize=8)
        axes.set_yticks(range(len(cosines.layers)), map(str, cosines.layers), fontsize=7)
        axes.set_ylabel("layer")
        axes.set_title(f"cosine of the updates:\n{cosines.first}, {cosines.second}", fontsize=9)
        figure.colorbar(image, ax=axes)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
