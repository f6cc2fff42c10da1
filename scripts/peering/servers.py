"""`transformers serve` and vLLM serve what a trainer made; KDSL asks them beside the same model in this process."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import tiny_qwen2vl

from kdsl.vlm.load import load_model
from peering import base, world
from peering.children import Failed, free_port, served
from peering.table import Finding, Verdict, shares, within
from peering.trainers import TRAINERS, adapter_of
from peering.workplace import Workplace

_BOUND = 1e-4
"""Of the log-probability of a whole label, in float32 on both sides."""
_CALLS, _TOKENS = 3, 100
"""The project's limits."""
_PATIENCE = 900.0
"""Seconds until a server must answer: vLLM alone takes one minute on two free cores."""
_VLLM = (
    "--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "8", "--enforce-eager",
    "--limit-mm-per-prompt", '{"image": 4}',
)  # fmt: skip
_CACHE = {"VLLM_CPU_KVCACHE_SPACE": "1"}
"""GiB."""


def try_transformers_serve(name: str, title: str, programs: Path, place: Workplace) -> Iterator[Finding]:
    """The merged model, by the name of its directory."""
    merged, adapter = _merged(name, place), _some_adapter(place)
    port, log = free_port(), place.log(name)
    place.say(f"{title}: serving {merged}, log in {log}")
    command = [str(programs / "transformers"), "serve", str(merged), "--device", "cpu", "--port", str(port)]
    with served(command, log, port, {}, _PATIENCE) as address:
        yield Finding(title, "/v1/models", _listed(address), Verdict.told)
        yield from _run(name, title, f"{address}#{merged}", str(adapter), place)


def try_vllm(name: str, title: str, programs: Path, place: Workplace) -> Iterator[Finding]:
    """The base with the trainers' adapters as LoRA modules, then the merged model without any."""
    adapters = {each: adapter_of(each, place) for each in TRAINERS if adapter_of(each, place).is_dir()}
    merged, adapter = _merged(name, place), _some_adapter(place)
    log = place.log(name)
    begin = [str(programs / "vllm"), "serve"]
    port = free_port()
    place.say(f"{title}: serving the base and {len(adapters)} LoRA modules, log in {log}")
    modules = [f"{each}={folder.resolve()}" for each, folder in adapters.items()]
    more = ["--enable-lora", "--max-lora-rank", "16", "--lora-modules", *modules]
    command = [*begin, str(place.base), "--port", str(port), *_VLLM, *more]
    with served(command, log, port, _CACHE, _PATIENCE) as address:
        served_as = {"the base": (str(place.base), str(place.base))}
        served_as |= {f"the adapter of {each}": (str(folder), each) for each, folder in adapters.items()}
        yield from _scores(title, address, served_as, place)
        yield from _run(name, title, f"{address}#{next(iter(adapters))}", str(adapter), place)
    port = free_port()
    place.say(f"{title}: serving {merged}, log in {log}")
    with served([*begin, str(merged), "--port", str(port), *_VLLM], log, port, _CACHE, _PATIENCE) as address:
        yield from _scores(title, address, {"the merged model": (str(adapter), str(merged))}, place)


def _scores(title: str, address: str, models: Mapping[str, tuple[str, str]], place: Workplace) -> Iterator[Finding]:
    """What → (in this process, its name at the server): log-probabilities of all labels on both sides."""
    asked = world.conversations(place.project)
    for what, (local, name) in models.items():
        here = load_model(local, base.BUDGET).score(asked, tiny_qwen2vl.LABELS)
        there = load_model(f"{address}#{name}", base.BUDGET).score(asked, tiny_qwen2vl.LABELS)
        difference = abs(here.log_probabilities - there.log_probabilities).max()
        if there.estimated:
            yield Finding(title, f"scores of {what}", "estimated, not exact", Verdict.differs)
        else:
            yield within(title, f"scores of {what}", float(difference), _BOUND)


def _run(name: str, title: str, address: str, local: str, place: Workplace) -> Iterator[Finding]:
    """`kdsl run` and `kdsl predict` on both sides, under the project's limits."""
    there = place.predicted(name, "served", address, ("run",))
    here = place.predicted(name, "local", local, ("run",))
    for what, answers in (("served", there), ("local", here)):
        calls, tokens = world.dearest([*answers.values()])
        verdict = Verdict.same if calls <= _CALLS and tokens <= _TOKENS else Verdict.differs
        told = f"at most {calls} calls, {tokens} tokens"
        yield Finding(title, f"{what}: within 3 calls, 100 tokens", told, verdict)
    equal = world.equal_answers(world.labels(here), world.labels(there))
    yield shares(title, "kdsl run: the model's answers", equal, len(here))


def _listed(address: str) -> str:
    """What the server says that it has."""
    try:
        with urllib.request.urlopen(f"{address}/models", timeout=30) as answer:
            return f"{len(json.load(answer)['data'])} models"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"


def _some_adapter(place: Workplace) -> Path:
    for each in TRAINERS:
        if adapter_of(each, place).is_dir():
            return adapter_of(each, place)
    raise Failed("no trainer left an adapter to be served; run one first, such as --only llama-factory")


def _merged(name: str, place: Workplace) -> Path:
    """The first adapter and the base as one model, by `kdsl export-model`."""
    folder = place.folder / "merged"
    adapter = _some_adapter(place)
    if not (folder / "README.md").is_file():
        arguments = ("--adapter", str(adapter), "--output", str(folder), str(place.project))
        place.kdsl(name, "export-model", *arguments)
    return folder
