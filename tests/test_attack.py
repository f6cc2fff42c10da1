"""What scripts/attack takes for damage: it must see what it is there to see."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from attacker.damage import damage, snapshot
from attacker.mutations import MUTATIONS, no_permission

MINED = 'id: r-aaaa1\nlabel: "a"\nstatus: proposed\nwhen:\n  all:\n    - user: ["b"]\n'
MINED += 'provenance: {source: mcts}\nreview: {by: "", at: "", of: ""}\n'


@pytest.fixture
def place(tmp_path):
    """A project with a file of people, a mined rule and an accepted one, a log, and a neighbour."""
    files = {
        "canary/kept.txt": "kept",
        "project/data/train.jsonl": '{"id": "1"}\n{"id": "2"}\n',
        "project/rules/shop/a/b--r-aaaa1.yaml": MINED,
        "project/rules/shop/a/c--r-aaaa2.yaml": MINED.replace("proposed", "accepted").replace("r-aaaa1", "r-aaaa2"),
        "project/checkpoints/run/mining.json": "{}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def harm(place, change, failed=False, arguments=("mine",), target="project/kdsl.yaml"):
    before = snapshot(place)
    change()
    return damage(before, snapshot(place), target, [*arguments], failed)


def test_a_command_that_does_its_work_harms_nothing(place):
    def work():
        (place / "project/checkpoints/run/mining.json").write_text('{"b": 1}', "utf-8")
        (place / "project/rules/shop/a/b--r-aaaa1.yaml").unlink()
        (place / "project/rules/shop/a/d--r-aaaa3.yaml").write_text(MINED.replace("r-aaaa1", "r-aaaa3"), "utf-8")
        (place / "project/p.jsonl").write_text('{"id": "1"}\n', "utf-8")

    assert harm(place, work) == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("canary/new.txt", "x", "a place outside the project was written"),
        ("canary/kept.txt", "x", "a place outside the project was written"),
        ("project/data/train.jsonl", "", "changed by a command that may only read it"),
        ("project/rules/shop/a/c--r-aaaa2.yaml", MINED, "changed by a command that may only read it"),
        ("project/checkpoints/run/mining.json", "{", "half-written"),
        ("project/p.jsonl", '{"id": "1"}\n{"id', "half-written"),
        ("project/rules/shop/a/b--r-aaaa1.yaml", "id: r-aaaa1\nlabel: [", "half-written"),
        ("project/checkpoints/.mining.json.0123456789ab", "{}", "left over"),
    ],
)
def test_damage_is_seen(place, name, text, told):
    assert harm(place, lambda: (place / name).write_text(text, "utf-8")) == [f"{name}: {told}"]


def test_a_lost_file_and_another_mode_are_seen(place):
    decided = place / "project/rules/shop/a/c--r-aaaa2.yaml"
    assert harm(place, lambda: (place / "project/data/train.jsonl").chmod(0o600))[0].endswith("mode 644 became 600")
    assert harm(place, decided.unlink) == ["project/rules/shop/a/c--r-aaaa2.yaml: lost"]


def test_lines_may_be_added_to_a_log_but_none_taken_away(place):
    data = place / "project/data/train.jsonl"

    def add():
        with data.open("a") as file:
            file.write('{"id": "3"}\n')

    assert harm(place, add) == []
    assert harm(place, lambda: data.write_text('{"id": "2"}\n{"id": "3"}\n')) != []


def test_what_was_spoiled_stays_as_it_is_where_the_command_fails(place):
    target = "project/checkpoints/run/mining.json"

    def repair():
        (place / target).write_text('{"b": 2}', "utf-8")

    assert harm(place, repair, failed=True, target=target) == [f"{target}: changed although the command failed"]
    assert harm(place, lambda: (place / target).write_text("{}"), failed=False, target=target) == []


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.yaml", "a.npz", "a.csv", "empty.jsonl"])
@pytest.mark.parametrize("mutation", [m for m in MUTATIONS if m is not no_permission])
def test_every_mutation_spoils_every_kind_of_file(tmp_path, name, mutation):
    import random

    path = tmp_path / "project" / name
    path.parent.mkdir()
    texts = {"a.yaml": "id: r-aaaa1\nwhen: {all: [a, b]}\n", "a.csv": 'a,"b"\n1,"2,3"\n', "empty.jsonl": ""}
    if name == "a.npz":
        np.savez(path, a=np.arange(6.0).reshape(2, 3))
    else:
        path.write_text(texts.get(name, '{"id": "1", "list": [1, "退款"]}'), "utf-8")
    assert mutation(path, random.Random(0))
    assert path.is_symlink() or path.exists()
