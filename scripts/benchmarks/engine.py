"""The rule engine: 5,000 rules on 10,000 Chinese dialogues, beside a plain loop and the bare automaton scan.

Everything runs on one core and on the same texts. The dialogues are made up: words of one to four characters drawn by
Zipf's law, cut into 10 turns; so are the rules: each joins two words, or word lists, that occur together in some
dialogue. Times are seconds of processor time, so that other programs on the machine disturb little.
"""

import argparse
import gc
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence

import daachorse

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import SampleFields
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, Turn
from kdsl.text import normalise

FIELD = "dialogue"
TURNS = 10
NAIVE_DIALOGUES = 200
"""The plain loop is slow and takes as long for every dialogue: this many are enough to time it."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench engine", description=__doc__)
    parser.add_argument("--rules", type=int, default=5000)
    parser.add_argument("--dialogues", type=int, default=10_000)
    parser.add_argument("--characters", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many runs is shown (default 3)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    samples, words = make_dialogues(options.dialogues, options.characters, options.seed)
    rules = make_rules(words, options.rules, options.seed)
    begun = time.process_time()
    engine = Engine(rules)
    built = time.process_time() - begun
    terms = sorted({term for rule in rules for condition in rule.conditions for term in condition.normalised_terms})
    automaton = daachorse.CharwiseDoubleArrayAhoCorasick(terms)
    sidecars = Sidecars()
    fields = [SampleFields(sample, sidecars) for sample in samples]
    texts = [row.text(FIELD).text for row in fields]

    def from_samples() -> int:
        return touch(engine, (SampleFields(sample, sidecars) for sample in samples))

    def from_fields() -> int:
        return touch(engine, iter(fields))

    def bare_scan() -> int:
        return sum(len(automaton.find_overlapping(text)) for text in texts)

    naive = compile_naive(rules)
    few = texts[:NAIVE_DIALOGUES]

    def plain_loop() -> list[list[int]]:
        return [
            [r for r, rule in enumerate(naive) if all(any(term in text for term in terms) for terms in rule)]
            for text in few
        ]

    gc.collect()
    gc.freeze()  # the dialogues kept in memory are this benchmark's, not garbage for the engine to look through
    check(engine, fields, plain_loop())
    hits = from_fields()
    lengths = sum(len(turn.text) for sample in samples for turn in sample.turns) / len(samples)
    print(
        f"{len(rules)} rules of 2 conditions, {len(terms)} distinct terms; {len(samples)} dialogues of {lengths:.0f} "
        f"characters in {TURNS} turns; {bare_scan() / len(samples):.1f} term occurrences and "
        f"{hits / len(samples):.2f} hits a dialogue; one core; engine built in {built:.2f} s"
    )
    rows = [
        ("engine, evidence, from Samples (normalisation included)", from_samples, len(samples)),
        ("engine, evidence, from normalised fields", from_fields, len(samples)),
        ("bare automaton scan of normalised texts, no decision", bare_scan, len(samples)),
        (f"plain loop, `term in text`, no evidence ({len(few)} dialogues)", plain_loop, len(few)),
    ]
    seconds = best([run for _, run, _ in rows], options.repeats)
    rates = [count / taken for (_, _, count), taken in zip(rows, seconds, strict=True)]
    for (name, _, _), rate in zip(rows, rates, strict=True):
        print(f"{name:<62} {rate:>10,.0f} dialogues/s {rate / rates[2]:>7.3f} of the scan")
    return 0


def touch(engine: Engine, rows: Iterable[SampleFields]) -> int:
    """Run the engine and look at term, field, turn and span of all evidence of every hit; the number of hits."""
    hits = 0
    for found in engine.stream(rows):
        for hit in found:
            hits += 1
            for evidence in hit.evidence:
                _ = evidence.term, evidence.field, evidence.turn, evidence.span
    return hits


def check(engine: Engine, rows: list[SampleFields], expected: list[list[int]]) -> None:
    """Fail unless the first samples have the hits that the plain loop finds, and all evidence names its own text."""
    index = {rule.id: r for r, rule in enumerate(engine.rules)}
    found = list(engine.stream(rows))
    if [[index[hit.rule.id] for hit in hits] for hits in found[: len(expected)]] != expected:
        raise KdslError("the engine and the plain loop find different hits")
    for row, hits in zip(rows, found, strict=True):
        for evidence in (evidence for hit in hits for evidence in hit.evidence):
            start, end = evidence.span or (0, 0)
            text = row.sample.turns[evidence.turn or 0].text[start:end]
            if normalise(text) != normalise(evidence.term or "") or evidence.term not in evidence.condition.terms:
                raise KdslError(f"the evidence {evidence} of sample {row.sample.id} stands on the text {text!r}")


def best(runs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Seconds of the fastest of `repeats` runs of each, in turn, so that a slow spell of the machine hits all."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for taken, run in zip(times, runs, strict=True):
            begun = time.process_time()
            run()
            taken.append(time.process_time() - begun)
    return [min(taken) for taken in times]


def make_dialogues(count: int, characters: int, seed: int) -> tuple[list[Sample], list[list[str]]]:
    """Dialogues of about `characters` characters, full-width punctuation included, and the words of each."""
    choose = random.Random(seed)
    alphabet = [chr(code) for code in choose.sample(range(0x4E00, 0x9000), 2500)]
    letters = [1 / (rank + 10) for rank in range(len(alphabet))]
    lexicon = [
        "".join(choose.choices(alphabet, letters, k=choose.choice((1, 2, 2, 2, 3, 3, 4)))) for _ in range(20_000)
    ]
    weights = [1 / (rank + 20) for rank in range(len(lexicon))]
    samples, all_words = [], []
    for index in range(count):
        words = choose.choices(lexicon, weights, k=characters)
        turns: list[Turn] = []
        used: list[str] = []
        for turn in range(TURNS):
            text = ""
            while len(text) < characters // TURNS:
                used.append(words.pop())
                text += used[-1] + choose.choices(("", "，", "？", "。"), (0.88, 0.08, 0.02, 0.02))[0]
            turns.append(Turn("agent" if turn % 2 else "user", text[: characters // TURNS]))
        samples.append(Sample(str(index), "bench", tuple(turns)))
        all_words.append(used)
    return samples, all_words


def make_rules(words: list[list[str]], count: int, seed: int) -> list[Rule]:
    """Rules of two conditions of one or two terms: words that occur together, the commonest left out."""
    choose = random.Random(seed + 1)
    frequency: dict[str, int] = {}
    for used in words:
        for word in set(used):
            frequency[word] = frequency.get(word, 0) + 1
    limit = len(words) // 20
    rules = []
    while len(rules) < count:
        usable = [word for word in choose.choice(words) if len(word) > 1 and frequency[word] <= limit]
        picked = choose.sample(sorted(set(usable)), 3) if len(set(usable)) > 2 else None
        if picked is not None:
            first = picked[:1] if choose.random() < 0.5 else [picked[0], picked[2]]
            when = {"all": [{FIELD: first}, {FIELD: [picked[1]]}]}
            rules.append(Rule(id=f"r-{len(rules):05d}", label=f"label {len(rules) % 50}", when=when))  # type: ignore[arg-type]
    return rules


def compile_naive(rules: list[Rule]) -> list[list[list[str]]]:
    return [[[normalise(term) for term in condition.terms] for condition in rule.conditions] for rule in rules]
