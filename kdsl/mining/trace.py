"""The search graph of one label, to look at: GraphML for graph viewers, node-link JSON for programs."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.files import write_atomically
from kdsl.mining.node import Key, Node
from kdsl.mining.search import Search

if TYPE_CHECKING:
    import networkx

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_trace(search: Search, label: str, stem: Path) -> tuple[Path, Path]:
    """Write the graph of a search that has run to `stem`.graphml and `stem`.json, atomically; returns both paths."""
    import networkx

    graph = trace_graph(search, label)
    graphml, node_link = stem.with_name(f"{stem.name}.graphml"), stem.with_name(f"{stem.name}.json")
    write_atomically(graphml, "\n".join(networkx.generate_graphml(graph)) + "\n")
    write_atomically(node_link, json.dumps(networkx.node_link_data(graph), ensure_ascii=False) + "\n")
    return graphml, node_link


def trace_graph(search: Search, label: str) -> "networkx.DiGraph":
    """Every rule the search has visited, and the actions that led from one to another.

    Nodes: `rule` in words, `reward`, `visits`, `best` reward below, weighted `hits` and `correct` hits, and `prior`,
    the largest with which any parent's selection started. What the labels are called counts among the hits, as it
    does in the search. Edges: `action` in words, `prior`, `visits`. All values are
    strings or finite numbers.
    """
    import networkx

    graph = networkx.DiGraph(label=_safe(label))
    names = {key: str(number) for number, key in enumerate(search.nodes)}
    for key, node in search.nodes.items():
        graph.add_node(
            names[key],
            rule=_safe(_words(search, key)) or "(any sample)",
            reward=node.reward,
            visits=node.visits,
            best=node.best,
            hits=node.hits,
            correct=node.correct,
            prior=0.0 if key else 1.0,
        )
    for key, node in search.nodes.items():
        for child in range(len(node.child_literal)):
            below = search.child_key(node, child)
            if below not in names:
                continue
            prior = float(node.child_prior[child])
            graph.add_edge(
                names[key],
                names[below],
                action=_safe(_action(search, node, child)),
                prior=prior,
                visits=int(node.child_visits[child]),
            )
            target = graph.nodes[names[below]]
            target["prior"] = max(target["prior"], prior)
    return graph


def _words(search: Search, key: Key) -> str:
    return " and ".join(map(str, search.literals.written(key)))


def _action(search: Search, node: Node, child: int) -> str:
    position, literal = int(node.child_position[child]), int(node.child_literal[child])
    word = _words(search, ((literal,),))
    return f"add {word}" if position < 0 else f"to {_words(search, (node.key[position],))} add or {word}"


def _safe(text: str) -> str:
    """Without the characters that XML does not allow."""
    return _NOT_IN_XML.sub("\ufffd", text)
