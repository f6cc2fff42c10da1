"""What `scripts/bench vlm_calculation` calculates is what is computed."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks import vlm_calculation  # noqa: E402
from benchmarks.vlm import random_labels  # noqa: E402
from benchmarks.vlm_models import SIZES, random_batch, random_model  # noqa: E402
from kdsl.vlm.scoring import score_options  # noqa: E402

LENGTHS = vlm_calculation.spread(112, 23)


def test_operations_are_those_that_torch_counts() -> None:
    """But for the prompt's attention to later tokens, which torch counts and flash-attention leaves out."""
    model = random_model("small", "cpu")
    batch, labels = random_batch(model, 1, 80, 4), random_labels(3, 8192)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        score_options(model, batch, labels, "pack")
    found = vlm_calculation.operations("small", [len(label) for label in labels], 80, 16)
    shape = SIZES["small"]
    later = 2 * shape["num_hidden_layers"] * 80**2 * shape["hidden_size"]
    assert counter.get_total_flops() == found.total + later


def test_a_sample_of_a_7b_takes_24_teraflops() -> None:
    found = vlm_calculation.operations("7b", LENGTHS, 1300, 720)
    parts = [part / 1e12 for part in (found.vision, found.prompt, found.options, found.logits)]
    assert parts == pytest.approx([5.06, 17.30, 1.21, 0.10], abs=0.01)
    assert found.total / 1e12 == pytest.approx(23.7, abs=0.05)


def test_what_fits_cards_is_told(capsys) -> None:
    assert vlm_calculation.main([]) == 0
    told = capsys.readouterr().out
    assert "Qwen2-VL-7B: 23.7 TFLOP a sample, 30.0 ms" in told
    assert "weights 15.4 GiB; a prompt 279 MiB, of which keys and values 76, mask of the labels 0.24" in told
    assert " 24 GB: 25 prompts at once" in told


def test_labels_are_as_alike_as_can_be() -> None:
    assert vlm_calculation.spread(7, 3) == [3, 2, 2]
    assert sum(LENGTHS) == 112 and len(LENGTHS) == 23
