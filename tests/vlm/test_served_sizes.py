"""A served model sees pictures in the size in which a local one would: a token's pixels are found out by asking."""

import base64
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl  # noqa: E402
from model_server import model_server  # noqa: E402
from tiny_families import write_family  # noqa: E402

from kdsl.vlm.conversation import Picture, ask  # noqa: E402
from kdsl.vlm.load import load_model  # noqa: E402
from kdsl.vlm.pixels import PixelBudget, fitted_size  # noqa: E402
from kdsl.vlm.server.messages import JsonMessages  # noqa: E402
from kdsl.vlm.server.patches import find_patch_factor  # noqa: E402

BUDGET = PixelBudget()


def told_by(factor: int, least: int = 3136, most: int = 12_845_056) -> Callable[[JsonMessages], int]:
    """What a server tells whose model takes `factor` pixels a token, after scaling pictures to its own limits."""

    def tokens(messages: JsonMessages) -> int:
        url = messages[0]["content"][0]["image_url"]["url"]
        size = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size
        width, height = fitted_size(*size, PixelBudget(least, most), factor)
        return 23 + width * height // factor**2

    return tokens


@pytest.mark.parametrize("factor", [28, 32])
def test_the_factor_is_found_from_what_pictures_add_to_a_prompt(factor: int, caplog) -> None:
    assert find_patch_factor(told_by(factor), BUDGET, "http://host/v1") == factor
    assert find_patch_factor(told_by(factor), PixelBudget(4096, 4096 * 9), "http://host/v1") == factor
    assert not caplog.records


@pytest.mark.parametrize("limits", [(65_536, 16_777_216), (3136, 500_000)], ids=["Qwen3-VL's own", "a smaller most"])
def test_limits_that_are_narrower_than_the_budget_are_told(limits: tuple[int, int], caplog) -> None:
    """Qwen3-VL's own limits make everything below 256 x 256 pixels larger."""
    assert find_patch_factor(told_by(32, *limits), BUDGET, "http://host/v1") == 32
    [record] = caplog.records
    assert "http://host/v1: the server scales pictures of " in record.getMessage()
    assert (
        """--mm-processor-kwargs '{"size": {"shortest_edge": 3136, "longest_edge": 602112}}')""" in record.getMessage()
    )


@pytest.mark.parametrize("told", [lambda messages: None, lambda messages: 599, told_by(28, most=100_000)])
def test_a_server_that_does_not_tell_is_taken_for_28_and_that_is_told(told, caplog) -> None:
    assert find_patch_factor(told, BUDGET, "http://host/v1") == 28
    [record] = caplog.records
    assert "does not tell how many tokens pictures take; they are sent in sizes for Qwen2-VL" in record.getMessage()


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_a_served_model_scores_pictures_as_the_local_one_and_is_asked_once(
    family: str, tmp_path: Path, caplog
) -> None:
    folder = write_family(tmp_path / "model", family)
    pages = []
    for width, height in ((300, 200), (90, 200), (30, 30)):
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{width}.png")
        pages.append(Picture(tmp_path / f"{width}.png"))
    conversations, options = [ask(page, "标签？") for page in pages], ["红退", "蓝"]
    expected = load_model(str(folder), BUDGET).score(conversations, options)
    with caplog.at_level(logging.WARNING), model_server(folder) as running:
        model = load_model(running.url, BUDGET)
        for _ in range(2):
            scores = model.score(conversations, options)
            np.testing.assert_allclose(scores.log_probabilities, expected.log_probabilities, atol=1e-4)
        asked = [json.dumps(each["body"]) for each in running.requests()]
    assert not caplog.records and not scores.estimated
    assert len([body for body in asked if "image_url" in body]) == 4 + 2 * len(conversations) * len(options)


def test_without_pictures_nothing_is_asked(tiny_model: Path) -> None:
    with model_server(tiny_model) as running:
        load_model(running.url, tiny_qwen2vl.BUDGET).generate([ask("？")], 2)
        assert not [each for each in running.requests() if "image_url" in json.dumps(each["body"])]
