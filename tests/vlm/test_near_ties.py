"""Which label wins does not depend on the batch: near ties of 16-bit models are scored again, each prompt alone."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import peft  # noqa: E402
import tiny_causal  # noqa: E402
from torch import Tensor  # noqa: E402

from kdsl.training.adapting import TARGETS  # noqa: E402
from kdsl.vlm import scoring  # noqa: E402
from kdsl.vlm.conversation import Conversation, ask  # noqa: E402
from kdsl.vlm.local import LocalModel  # noqa: E402

OPTIONS = ["红", "蓝", "黑"]
ASKED = ask("我要退货。" * 3 + "标签？")
OTHERS = [ask("我要退货。" * n + "标签？") for n in (1, 2, 5, 9, 20, 30, 40)]
COMPANIONS = ([], OTHERS[:1], OTHERS[2:3], OTHERS[4:5], OTHERS[:3], OTHERS[3:], OTHERS)


@pytest.fixture(params=["base", "adapter"])
def tied(request, tmp_path: Path) -> LocalModel:
    """A bfloat16 model whose first two options are so close for `ASKED` that companions decide between them."""
    local = LocalModel.load(str(tiny_causal.write_causal(tmp_path / "m", "qwen2")), device="cpu")
    local.model.to(torch.bfloat16)
    if request.param == "adapter":
        config = peft.LoraConfig(r=2, target_modules=TARGETS, init_lora_weights=False, task_type="CAUSAL_LM")
        torch.manual_seed(1)
        adapted = peft.get_peft_model(local.model, config).to(torch.bfloat16).eval()
        local = LocalModel(adapted, local.processor, "adapted", "default")
    tie(local)
    return local


def tie(local: LocalModel) -> None:
    """Lets the head tell two options apart by nothing but what differs between batches."""
    states = torch.stack([last_state(local, companions) for companions in COMPANIONS])
    first, second, third = (local.processor.answer_ids(option, ended=False)[0] for option in OPTIONS)
    source = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(states.mean(dim=0)[:, None])[0]
    with torch.no_grad():
        head = local.model.lm_head.weight
        head[third] = -states[0]  # far behind
        head[first] = 0
        for _ in range(2000):
            direction = torch.randn(len(basis), generator=source)
            head[second] = direction - (basis @ (basis.T @ direction))
            leads = states @ head[second].float()
            if leads.min() < -1e-5 and leads.max() > 1e-5:
                return
    pytest.fail("no head makes a tie of what batches change")


def last_state(local: LocalModel, companions: list[Conversation]) -> Tensor:
    """[hidden]: what `ASKED` comes to in a batch, the longest first."""
    prompts = sorted((local.processor.encode(each) for each in [ASKED, *companions]), key=len, reverse=True)
    length = len(local.processor.encode(ASKED))
    batch = local.processor.batch(prompts)
    positions, _ = scoring.rotary_positions(local.model, batch)
    with torch.inference_mode():
        states = local.model.model(**batch, position_ids=positions).last_hidden_state
    return states[[len(prompt) for prompt in prompts].index(length), -1].float()


def winners(local: LocalModel) -> list[int]:
    """The best option for `ASKED` beside different companions, first and last among them."""
    found = []
    for companions in COMPANIONS:
        for asked in ([ASKED, *companions], [*companions, ASKED]):
            scores = local.score(asked, OPTIONS, ended=False).log_probabilities
            found.append(int(scores[asked.index(ASKED)].argmax()))
    return found


def test_the_label_is_that_of_the_prompt_alone_in_every_batch(tied: LocalModel, monkeypatch) -> None:
    alone = int(tied.score([ASKED], OPTIONS, ended=False).log_probabilities[0].argmax())
    assert set(winners(tied)) == {alone}
    monkeypatch.setattr(scoring, "NEAR", 0.0)
    assert set(winners(tied)) == {0, 1}  # or the test would test nothing


def test_scores_of_near_ties_are_those_of_the_prompt_alone(tied: LocalModel) -> None:
    """Bit by bit, beside scores of others that are what the batch makes of them; one call, as for all."""
    [alone] = tied.score([ASKED], OPTIONS, ended=False).log_probabilities
    scores = tied.score([*OTHERS, ASKED], OPTIONS, ended=False)
    assert scores.log_probabilities[-1].tolist() == alone.tolist()
    assert scores.calls.tolist() == [1] * 8
    chosen = tied.generate([*OTHERS, ASKED], 1, choices=OPTIONS)
    best = tied.score([ASKED], OPTIONS).log_probabilities[0].argmax()
    assert chosen[-1].text == OPTIONS[best]


def test_a_clear_lead_and_32_bits_are_not_scored_again() -> None:
    scores = torch.tensor([[-1.0, -1.49, -9.0], [-1.0, -1.51, -9.0], [-3.0, -1.0, -1.0]], dtype=torch.float64)
    assert scoring.near_ties(scores, torch.bfloat16) == scoring.near_ties(scores, torch.float16) == [0, 2]
    assert scoring.near_ties(scores, torch.float32) == []
    assert scoring.near_ties(scores[:, :1], torch.bfloat16) == []


def test_prompts_that_are_scored_again_stand_at_their_place(tmp_path: Path, monkeypatch) -> None:
    """With everything a near tie, a batch gives what its prompts give one by one."""
    monkeypatch.setattr(scoring, "NEAR", np.inf)
    local = LocalModel.load(str(tiny_causal.write_causal(tmp_path / "m", "qwen2")), device="cpu")
    local.model.to(torch.bfloat16)
    together = local.score(OTHERS, OPTIONS).log_probabilities
    apart = [local.score([each], OPTIONS).log_probabilities[0] for each in OTHERS]
    np.testing.assert_array_equal(together, apart)
