"""Other rule learners (RIPPER, pysubgroup, CN2) on BANKING77 10-shot, in an environment of their own.

The protocol is that of rule_list.py on FOLDER/train_10shot.jsonl and test.jsonl: the first labels in order of
appearance, one against all others of the training file; binary word 1-2-grams that occur in two samples or more.
Prints one JSON object a learner: cpu_seconds a label, rules a label, precision, recall, f1.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

if __package__:
    from benchmarks.rule_list import FLOOR, ListedRule, laplace, score_rule_list
else:  # run by path inside the environment of the peers
    from rule_list import FLOOR, ListedRule, laplace, score_rule_list

ENVIRONMENT = Path(__file__).resolve().parents[2] / ".cache" / "peers"
PACKAGES = ("wittgenstein==0.3.5", "pysubgroup==0.9.0", "scikit-learn")
OPTIONAL = ("Orange3",)
"""CN2 is left out where Orange cannot be installed."""

Conditions = list[tuple[int, bool]]
"""(feature, whether it must be present) of one rule, all of which must hold"""


def main(arguments: list[str]) -> int:
    """Make the environment of the peers if it is missing and run this file in it."""
    parse(arguments)
    python = peers_python()
    return subprocess.run([str(python), str(Path(__file__).resolve()), *arguments], check=False).returncode


def peers_python() -> Path:
    """The interpreter of the peers' environment, which is made and filled the first time (a few minutes)."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "installed"
    wanted = " ".join((*PACKAGES, *OPTIONAL))
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Making an environment for the other learners in {ENVIRONMENT}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, *PACKAGES], check=True, stdout=sys.stderr)
        for package in OPTIONAL:
            subprocess.run([*install, package], check=False, stdout=sys.stderr)
        stamp.write_text(wanted)
    return python


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench learners_peers", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds train_10shot.jsonl and test.jsonl of BANKING77")
    parser.add_argument("--labels", type=int, default=10, help="the first so many labels (default 10)")
    parser.add_argument("--learners", nargs="+", choices=sorted(LEARNERS), default=sorted(LEARNERS))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    train, test = (read(options.folder / name) for name in ("train_10shot.jsonl", "test.jsonl"))
    labels = list(dict.fromkeys(label for _, label in train))[: options.labels]
    vectorizer = CountVectorizer(ngram_range=(1, 2), binary=True, min_df=2)
    features = vectorizer.fit_transform([text for text, _ in train]).toarray().astype(bool)
    test_features = vectorizer.transform([text for text, _ in test]).toarray().astype(bool)
    print(f"{len(train)} samples, {features.shape[1]} features, {len(labels)} labels", file=sys.stderr)
    truth = np.array([label for _, label in train], dtype=object)
    for name in options.learners:
        try:
            learn = LEARNERS[name](features, options.seed)
        except ImportError as error:
            print(f"{name}: left out, it is not installed ({error})", file=sys.stderr)
            continue
        rules: list[ListedRule] = []
        begun = time.process_time()
        learned = [(label, learn(truth == label)) for label in labels]
        seconds = (time.process_time() - begun) / len(labels)
        for label, found in learned:
            for conditions in found:
                hits = holds(conditions, features)
                precision = laplace(int((truth[hits] == label).sum()), int(hits.sum()))
                if precision >= FLOOR:
                    rules.append(ListedRule(label, precision, holds(conditions, test_features)))
        score = score_rule_list(rules, [label for _, label in test], labels)
        record = {
            "learner": name,
            "cpu_seconds": round(seconds, 3),
            "rules": len(rules) / len(labels),
            **{key: round(value, 3) for key, value in score._asdict().items()},
        }
        print(json.dumps(record), flush=True)


def read(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [(record["text"], record["label"]) for record in map(json.loads, file)]


def holds(conditions: Conditions, features: np.ndarray) -> np.ndarray:
    """bool [n_samples]"""
    result = np.ones(len(features), dtype=bool)
    for feature, present in conditions:
        result &= features[:, feature] == present
    return result


def ripper(features: np.ndarray, seed: int) -> Callable[[np.ndarray], list[Conditions]]:
    import pandas
    import wittgenstein

    frame = pandas.DataFrame(features.astype(int), columns=[f"f{i}" for i in range(features.shape[1])])

    def learn(positive: np.ndarray) -> list[Conditions]:
        learner = wittgenstein.RIPPER(random_state=seed)
        learner.fit(frame, positive.astype(int), pos_class=1)
        return [
            [(int(str(condition.feature)[1:]), bool(int(condition.val))) for condition in rule.conds]
            for rule in learner.ruleset_.rules
        ]

    return learn


def subgroups(features: np.ndarray, seed: int) -> Callable[[np.ndarray], list[Conditions]]:
    """The best 20 conjunctions of at most 2 n-grams by precision, equal ones by size: depth-first, exhaustive."""
    import pandas
    import pysubgroup

    names = [f"f{i}" for i in range(features.shape[1])]
    frame = pandas.DataFrame(features, columns=names)
    selectors = [pysubgroup.EqualitySelector(name, True) for name in names]

    def learn(positive: np.ndarray) -> list[Conditions]:
        task = pysubgroup.SubgroupDiscoveryTask(
            frame.assign(positive=positive),
            pysubgroup.BinaryTarget("positive", True),
            selectors,
            result_set_size=20,
            depth=2,
            qf=pysubgroup.StandardQF(0.1),
        )
        found = pysubgroup.DFS(pysubgroup.BitSetRepresentation).execute(task).results
        return [[(int(s.attribute_name[1:]), True) for s in subgroup.selectors] for _, subgroup, _ in found]

    return learn


def cn2(features: np.ndarray, seed: int) -> Callable[[np.ndarray], list[Conditions]]:
    from Orange.classification.rules import CN2UnorderedLearner
    from Orange.data import DiscreteVariable, Domain, Table

    columns = [DiscreteVariable(f"f{i}", values=("0", "1")) for i in range(features.shape[1])]
    domain = Domain(columns, DiscreteVariable("positive", values=("0", "1")))

    def learn(positive: np.ndarray) -> list[Conditions]:
        table = Table.from_numpy(domain, features.astype(float), positive.astype(float))
        rules = CN2UnorderedLearner()(table).rule_list
        positives = [rule for rule in rules if rule.prediction == 1 and rule.selectors]
        return [[(s.column, (s.value == 1) == (s.op == "==")) for s in rule.selectors] for rule in positives]

    return learn


LEARNERS = {"ripper": ripper, "pysubgroup": subgroups, "cn2": cn2}

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run(parse(sys.argv[1:]))
