"""Batches follow from lengths and memory: on a GPU by what is free there, on a CPU by tokens."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from transformers import PreTrainedModel, Qwen2VLForConditionalGeneration  # noqa: E402

from kdsl.errors import KdslError  # noqa: E402
from kdsl.vlm import batching, memory  # noqa: E402
from kdsl.vlm.batching import Batches  # noqa: E402
from kdsl.vlm.memory import Shape, batch_bytes  # noqa: E402
from kdsl.vlm.processor import Prompt  # noqa: E402

LENGTHS = [3, 3, 4]


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    folder = tiny_qwen2vl.build(tmp_path_factory.mktemp("tiny"))
    return Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


@pytest.fixture(scope="module")
def elsewhere(on_cpu: PreTrainedModel) -> PreTrainedModel:
    """A model that is not on the CPU, but computes nothing."""
    with torch.device("meta"):
        return Qwen2VLForConditionalGeneration(on_cpu.config)


def prompts_of(*lengths: int, patches: int = 0) -> list[Prompt]:
    pixels = torch.zeros((patches, 1)) if patches else None
    return [Prompt(torch.arange(length), pixel_values=pixels) for length in lengths]


def working(batches: list[list[int]], fails: Callable[[list[int]], bool] = lambda lengths: False):
    """Work that answers with a prompt's length, and notes what it was given."""

    def work(prompts: list[Prompt]) -> list[int]:
        lengths = [len(prompt) for prompt in prompts]
        batches.append(lengths)
        if fails(lengths):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return lengths

    return work


def test_on_a_cpu_batches_hold_so_many_tokens(on_cpu, monkeypatch) -> None:
    """Padding and the ten tokens of the answers included; the answers come back in the prompts' order."""
    monkeypatch.setattr(batching, "CPU_TOKENS", 100)
    made: list[list[int]] = []
    lengths = [10, 90, 40, 40, 15, 10, 200, 20]
    assert Batches(on_cpu).map(prompts_of(*lengths), working(made), LENGTHS) == lengths
    assert made == [[200], [90], [40, 40], [20, 15, 10], [10]]
    assert all(len(each) * (each[0] + sum(LENGTHS)) <= 100 for each in made if len(each) > 1)


def test_elsewhere_batches_fit_what_is_free(elsewhere, monkeypatch) -> None:
    shape = Shape.of(elsewhere)
    budget = batch_bytes(shape, 4, 100, LENGTHS)
    monkeypatch.setattr(batching, "free_bytes", lambda model: budget)
    made: list[list[int]] = []
    lengths = [50] * 20 + [100] * 5
    assert Batches(elsewhere).map(prompts_of(*lengths), working(made), LENGTHS) == lengths
    assert made[0] == [100] * 4
    assert made[1][0] == 100 and made[1][1:] == [50] * 3
    for each, following in zip(made, [*made[1:], []], strict=True):
        assert batch_bytes(shape, len(each), each[0], LENGTHS) <= budget
        assert not following or batch_bytes(shape, len(each) + 1, each[0], LENGTHS) > budget


def test_pictures_make_batches_smaller(elsewhere, monkeypatch) -> None:
    shape = Shape.of(elsewhere)
    monkeypatch.setattr(batching, "free_bytes", lambda model: batch_bytes(shape, 4, 100, LENGTHS, 4 * 500))
    made: list[list[int]] = []
    Batches(elsewhere).map(prompts_of(*[100] * 8, patches=1000), working(made), LENGTHS)
    assert {len(each) for each in made} == {2}


def test_what_is_free_is_asked_before_every_batch(elsewhere, monkeypatch) -> None:
    """Others may use the GPU, too: in training, evaluation has what gradients and optimiser leave."""
    shape = Shape.of(elsewhere)
    free = iter([1, 2, 3, 4])
    monkeypatch.setattr(batching, "free_bytes", lambda model: batch_bytes(shape, next(free), 100, LENGTHS))
    made: list[list[int]] = []
    Batches(elsewhere).map(prompts_of(*[100] * 10), working(made), LENGTHS)
    assert [len(each) for each in made] == [1, 2, 3, 4]


def test_of_free_memory_a_fifth_is_left_to_kernels(monkeypatch) -> None:
    """What torch keeps for later tensors is free, too; of several GPUs the fullest counts."""
    devices = [torch.device("cuda", index) for index in (0, 1, 0)]
    model = SimpleNamespace(parameters=lambda: [SimpleNamespace(device=device) for device in devices])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((1000, 700)[device.index], 2000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 600)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 300)
    assert memory.free_bytes(model) == 800


def test_out_of_memory_halves_and_what_was_learned_is_kept(elsewhere, monkeypatch) -> None:
    """By what the half would cost: shorter prompts are more at once again."""
    monkeypatch.setattr(batching, "free_bytes", lambda model: batch_bytes(Shape.of(model), 16, 100, LENGTHS))
    made: list[list[int]] = []
    batches = Batches(elsewhere)
    work = working(made, lambda lengths: len(lengths) * lengths[0] > 500)
    assert batches.map(prompts_of(*[100] * 16), work, LENGTHS) == [100] * 16
    assert [len(each) for each in made] == [16, 8, 4, 4, 4, 4]
    made.clear()
    batches.map(prompts_of(*[40] * 16), work, LENGTHS)
    assert len(made[0]) > 8 and sum(map(len, made)) == 16


def test_a_single_prompt_that_does_not_fit_is_told(elsewhere, monkeypatch) -> None:
    monkeypatch.setattr(batching, "free_bytes", lambda model: 0)
    with pytest.raises(KdslError, match="out of memory on meta with a single prompt of 70 tokens; lower the pixel"):
        Batches(elsewhere).map(prompts_of(70, 50), working([], lambda lengths: True), LENGTHS)


def test_other_errors_are_not_taken_for_a_lack_of_memory(on_cpu, tmp_path: Path) -> None:
    def work(prompts: list[Prompt]) -> list[int]:
        raise RuntimeError("the shapes do not fit")

    with pytest.raises(RuntimeError, match="the shapes do not fit"):
        Batches(on_cpu).map(prompts_of(5), work, LENGTHS)
