"""The search graph as files."""

import json

import networkx
import pytest

from kdsl.mining.miner import start_search
from kdsl.mining.problem import ALL_SAMPLES
from kdsl.mining.run import prepare
from kdsl.mining.trace import trace_graph, write_trace


@pytest.fixture
def search(shop, settings):
    search = start_search(prepare(*shop, settings, seed=0), ALL_SAMPLES, 0, settings)
    search.run()
    return search


def test_both_files_hold_the_graph_of_the_search(search, tmp_path):
    graphml, node_link = write_trace(search, "调光\x00", tmp_path / "trace-调光")
    assert (graphml.name, node_link.name) == ("trace-调光.graphml", "trace-调光.json")
    graph = networkx.read_graphml(graphml)
    assert set(networkx.node_link_graph(json.loads(node_link.read_text("utf-8"))).edges) == set(graph.edges)
    assert len(graph) == len(search.nodes)
    assert graph.graph["label"] == "调光\ufffd"
    by_rule = {data["rule"]: data for _, data in graph.nodes(data=True)}
    root = by_rule["(any sample)"]
    assert (root["hits"], root["correct"], root["visits"]) == (
        93,
        31,
        search.iterations,
    )  # 90 samples, 3 labels' words
    single = {data["action"]: data for _, _, data in graph.out_edges("0", data=True)}
    assert set(single) == {f"add {rule}" for rule in by_rule if rule != "(any sample)" and f"add {rule}" in single}
    assert max(by_rule.values(), key=lambda data: data["reward"])["correct"] > 0


def test_every_node_but_the_root_is_reached_by_an_action_that_its_rule_shows(search):
    graph = trace_graph(search, "调光")
    assert [node for node in graph if graph.in_degree(node) == 0] == ["0"]
    for _, target, data in graph.edges(data=True):
        term = data["action"].rpartition(" has ")[2]
        assert term in graph.nodes[target]["rule"]
        assert 0 < data["prior"] <= graph.nodes[target]["prior"] <= 1
