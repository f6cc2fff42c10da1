"""A project whose files change for the worse while it is served: it decides as before, and people are told."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from service_on_port import ServiceOnPort, on_port
from service_shop import opened
from waiting import until

from kdsl.errors import KdslError

ASKED = {"id": "a", "task": "returns", "text": "钱退了吗"}


@pytest.fixture
def shop_service(shop: Path) -> Iterator[ServiceOnPort]:
    """A service over a project that the test may spoil."""
    with on_port(opened(shop)) as running:
        yield running


def test_a_checkpoint_for_other_labels_is_told_and_the_old_one_decides(shop, shop_service):
    before = shop_service.predict(ASKED).prediction
    old = opened(shop)
    for task in ("returns", "desk"):
        file = shop / "tasks" / f"{task}.yaml"
        file.write_text(file.read_text("utf-8").replace("尺码", "大小"), "utf-8")
    data = shop / "data" / "train.json"
    data.write_text(data.read_text("utf-8").replace('"label": "尺码"', '"label": "大小"'), "utf-8")
    new = opened(shop)
    new.mine(workers=1)
    new.train()
    with pytest.raises(KdslError, match="trained for other labels than returns has now") as error:
        old.predict(ASKED)
    until(lambda: error.value.in_commands() in shop_service.problems)
    assert "kdsl.yaml or a task file has changed since the start" in " ".join(shop_service.problems)
    assert shop_service.predict(ASKED).prediction == before


def test_a_checkpoint_that_is_gone_is_told_and_decides_on(shop, shop_service):
    before = shop_service.predict(ASKED).prediction
    rmtree(shop / "checkpoints" / "run")
    told = "checkpoints/run: none of the project's tasks was trained; run `kdsl train` first"
    until(lambda: any(problem.endswith(told) for problem in shop_service.problems))
    assert shop_service.predict(ASKED).prediction == before


def test_a_broken_rule_file_is_told_and_the_old_rules_hold_until_it_is_mended(shop, shop_service):
    before = shop_service.predict(ASKED).prediction
    [rule] = (shop / "rules" / "returns").rglob("*r-mine0001.yaml")
    whole = rule.read_text("utf-8")
    rule.write_text(whole.replace("status: accepted", "status: maybe"), "utf-8")
    until(lambda: bool(shop_service.problems))
    [problem] = shop_service.problems
    assert str(rule) in problem and "maybe" in problem
    assert shop_service.predict(ASKED).prediction == before
    rule.unlink()
    until(lambda: shop_service.problems == [])
    assert "r-mine0001" not in str(shop_service.predict(ASKED).prediction)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Without logs: those that pytest hands from one process to another must be UTF-8."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_a_rule_file_with_any_name_is_told(quiet, shop, shop_service):
    """Names of files need not be UTF-8, but what is told of them is."""
    name = os.fsencode(shop / "rules" / "returns") + b"/\xff--r-aaaaaaaa.yaml"
    try:
        with open(name, "w") as file:
            file.write("label: 5\n")
    except OSError:
        pytest.skip("this system has no such names")
    until(lambda: any("--r-aaaaaaaa.yaml, line 1: " in problem for problem in shop_service.problems))


def test_rules_are_not_lost_with_their_folder(shop, shop_service):
    before = shop_service.predict(ASKED).prediction
    (shop / "rules").rename(shop / "away")
    until(
        lambda: (
            shop_service.problems == [f"{shop / 'rules'}: the folder of the rules is not there any more; put it back"]
        )
    )
    assert shop_service.predict(ASKED).prediction == before
    (shop / "away").rename(shop / "rules")
    until(lambda: shop_service.problems == [])


@pytest.mark.parametrize("name", ["kdsl.yaml", "tasks/returns.yaml"])
def test_settings_that_changed_are_told(shop, shop_service, name):
    with (shop / name).open("a", encoding="utf-8") as file:
        file.write("# more\n")
    [problem] = shop_service.problems
    assert problem == "kdsl.yaml or a task file has changed since the start; start `kdsl serve` again to use it"
    assert shop_service.predict(ASKED).status == 200
