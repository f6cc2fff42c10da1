"""What is told about samples that were too many to be learned from."""

import pytest

from kdsl.arbiter.left_over import LeftOver, Loss


@pytest.mark.parametrize(
    ("half", "told"),
    [(0.25, "more samples would help"), (0.201, "more samples would hardly help"), (0.1, "hardly help")],
)
def test_more_samples_would_help_where_half_of_them_do_clearly_worse(half, told):
    found = LeftOver(300, Loss(1000, 0.2, 0.95), Loss(500, half, 0.9))
    assert found.told("shop") == (
        "shop: learned from 1000 samples (mining.max_samples), the classifier has log loss 0.2000 and accuracy 0.9500 "
        f"on 300 others; from half of them {half:.4f} and 0.9000: "
        + (told if told.startswith("more") else f"more samples would {told}")
    )


def test_the_record_holds_both_losses():
    record = LeftOver(300, Loss(1000, 0.2, 0.95), Loss(500, 0.25, 0.9)).record()
    assert record == {
        "samples": 300,
        "whole": {"learned": 1000, "log_loss": 0.2, "accuracy": 0.95},
        "half": {"learned": 500, "log_loss": 0.25, "accuracy": 0.9},
    }
