"""The plan for many machines: what is calculated is what is played where nothing is lost and nothing varies."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmarks.scale_plan import Cluster, Work, plan, play

CLUSTER = Cluster(machines=4, cores=8, store=1e12, network=1e12, lost_hours=math.inf, start_seconds=20.0)
WORK = Work(samples=6_400_000, shard=10_000, rate=1000.0, bytes_each=1000.0, shard_seconds=0.5, spread=0.0)


def test_full_rounds_of_shards_take_what_their_samples_do():
    planned = plan(WORK, CLUSTER)
    assert planned.seconds == pytest.approx(20.0 + 20 * 10.5)  # 640 shards on 32 cores
    assert planned.bound == "cores"
    played = play(WORK, CLUSTER, seed=0)
    assert played.seconds == pytest.approx(planned.seconds)
    assert played.again == 0
    assert played.busy == pytest.approx(210 / 230)


def test_more_cores_than_shards_gain_nothing():
    few = replace(WORK, samples=100_000)
    planned = plan(few, CLUSTER)
    assert planned.seconds == pytest.approx(30.5)
    assert planned.bound == "shards (fewer than cores)"
    assert play(few, CLUSTER, seed=0).seconds == pytest.approx(30.5)


def test_a_slow_store_is_what_binds():
    slow = replace(CLUSTER, store=10e6)  # 6.4 GB of bytes at 10 MB a second
    planned = plan(WORK, slow)
    assert (planned.seconds, planned.bound) == (pytest.approx(660.0), "store")
    assert play(WORK, slow, seed=0).seconds == pytest.approx(660.0, rel=0.05)


def test_a_slow_network_of_the_machines_binds_by_their_number():
    slow = replace(CLUSTER, network=5e6)
    assert plan(WORK, slow).bound == "network"
    assert plan(WORK, replace(slow, machines=8)).seconds == pytest.approx(20.0 + 160.0)


def test_shards_lost_with_their_machine_are_done_again():
    spot = replace(CLUSTER, lost_hours=0.05, back_seconds=30.0)
    played = play(WORK, spot, seed=1)
    assert played.again > 0
    assert played.seconds > play(WORK, CLUSTER, seed=1).seconds
    assert played.busy < 210 / 230
    assert plan(WORK, spot).seconds == pytest.approx(played.seconds, rel=0.3)
