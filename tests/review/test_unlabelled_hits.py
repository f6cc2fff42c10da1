"""Samples that nobody has labelled: their hits are shown beside labelled ones, disagreement of the model first."""

import re
from pathlib import Path

import numpy as np
import pytest
from reviewed_shop import ORIGIN
from shop_on_disk import LABELS, TASK, write_lines, write_shop

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.project.project import Project
from kdsl.review.app import create_app
from kdsl.review.live import LiveSite, open_live
from kdsl.review.model_predictions import ModelPredictions

TEXTS = ("亮度如何", "亮度高吗", "亮度可调", "随便看看")


@pytest.fixture
def shop(tmp_path: Path) -> LiveSite:
    write_shop(tmp_path)
    config = (tmp_path / "kdsl.yaml").read_text("utf-8")
    (tmp_path / "kdsl.yaml").write_text(config.replace("ocr:", "unlabelled: more.jsonl, ocr:"), "utf-8")
    write_lines(tmp_path / "more.jsonl", [{"id": f"u{i}", "text": text} for i, text in enumerate(TEXTS)])
    return open_live(Project.open(tmp_path), "小王")


@pytest.fixture
def client(shop: LiveSite) -> TestClient:
    return TestClient(create_app(shop, ["testserver"], background=False), headers=ORIGIN)


def say(shop: LiveSite, *of_first: float) -> None:
    """How likely the model takes each unlabelled sample for the first label."""
    first = np.array(of_first)
    shop.site.indexes[TASK].opinions = ModelPredictions(np.stack([first, 1 - first], 1), np.ones(len(first), bool))


def test_disagreement_comes_first_then_what_the_model_is_least_sure_about(shop, client):
    say(shop, 0.9, 0.6, 0.1, 0.5)
    page = client.get(f"/t/{TASK}/rules/r-aaaa").text
    shown = page[page.index("Unlabelled hits") :]
    assert re.findall(r'data-sample="(u\d)"', shown) == ["u2", "u1", "u0"]
    assert re.search(r"Unlabelled hits 3<", page) and "these come first: 1" in page
    assert client.get(f"/t/{TASK}/sample", params={"id": "u2"}).status_code == 200


def test_unlabelled_hits_that_the_model_knows_already_bring_a_rule_no_further(shop):
    def value(*of_hits: float) -> float:
        say(shop, *of_hits, 0.5)
        overview = shop.site.overview(TASK)
        return float(overview.value[overview.position["r-aaaa"]])

    # What the model is sure to be something else is evidence against the rule, and not a reason to look at it.
    assert value(0.9, 0.9, 0.9) > value(0.5, 0.5, 0.5) > value(0.1, 0.1, 0.1)


def test_the_model_is_asked_about_them_and_they_are_no_training_samples(shop):
    shop.ask_model()
    index = shop.site.indexes[TASK]
    assert len(index.samples) == 5 and index.opinions.probabilities.shape == (4, len(LABELS))


def test_the_progress_page_says_what_waits_for_training(shop, client):
    assert "everything waits for it" in client.get(f"/t/{TASK}/progress").text
