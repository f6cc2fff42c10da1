"""One fit: what training on disk, fitting in memory, cross-validation and the review page make is the same."""

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from small_shop import write_project

from kdsl.arbiter.arbiter import Arbiter
from kdsl.arbiter.fit import fit_arbiter
from kdsl.fields.table import FieldTable
from kdsl.models.linear import LinearTrainer
from kdsl.project.cross_validation import cross_validate_project, held_out_tasks, labelled_folds
from kdsl.project.fitting import advances, fit, mine_in_memory
from kdsl.project.large import with_learners
from kdsl.project.mining import decided_rules, mine, mined_rules_of
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.training import train_project
from kdsl.rules.rulebase import RuleBase


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("shop") / "project")
    project = Project.open(folder)
    mine(project, task_of(project), workers=1)
    train_project(project)
    return folder


def task_of(project: Project) -> TaskProject:
    return TaskProject.of(project, project.tasks[0])


def test_what_is_mined_and_trained_on_disk_is_what_is_fitted_in_memory(trained):
    project = Project.open(trained)
    [own] = with_learners(project, [task_of(project)])
    told = []
    fitted = fit(own, workers=1, advance=told.append)
    assert fitted.arbiter == Arbiter.load(trained / "checkpoints/run/shop")
    on_disk = {(rule.id, rule.label, rule.when_hash) for rule in RuleBase.load(trained / "rules", "shop").rules}
    assert {(rule.id, rule.label, rule.when_hash) for rule in fitted.rules} == on_disk
    assert len(told) == advances(own)
    loaded = fitted.load(own.task, trained / "checkpoints/run", fitted.rules)
    table = FieldTable(project.task_samples(own.task, "test"), project.sidecars())
    assert [d.record() for d in loaded.decide(table)] == [d.record() for d in fitted.decide(table)]


def test_what_is_saved_is_what_is_loaded(trained, tmp_path):
    project = Project.open(trained)
    [own] = with_learners(project, [task_of(project)])
    fitted = fit(own, mine_in_memory(own, workers=1))
    fitted.save(tmp_path / "shop", "linear")
    loaded = fitted.load(own.task, tmp_path, fitted.rules)
    assert loaded.arbiter == fitted.arbiter and loaded.trained_on is None
    for ours, theirs in zip(fitted.predict(own.table), loaded.predict(own.table), strict=True):
        assert np.allclose(ours, theirs)
    assert {path.name for path in (tmp_path / "shop").iterdir()} >= {"arbiter.json", "linear.npz", "out_of_fold.npz"}


@pytest.fixture
def reviewed(trained, tmp_path) -> Path:
    """The project after somebody rejected all mined rules but one, and wrote one."""
    folder = Path(shutil.copytree(trained, tmp_path / "project"))
    base = RuleBase.load(folder / "rules", "shop")
    first, *others = base.rules
    base.save(first.model_copy(update={"status": "accepted"}))
    for rule in others:
        base.save(rule.model_copy(update={"status": "rejected"}))
    text = (folder / "rules" / "shop" / "own.yaml").write_text
    text('schema: 1\nid: r-own00001\nlabel: "物流"\nstatus: accepted\nwhen:\n  all:\n    - user: ["快递"]\n', "utf-8")
    return folder


def test_cross_validation_knows_what_people_decided(trained, reviewed):
    [before] = cross_validate_project(Project.open(trained), 3, workers=1)
    [after] = cross_validate_project(Project.open(reviewed), 3, workers=1)
    spoke = [(result.rules.predicted >= 0).sum() for result in (before, after)]
    assert spoke[1] < spoke[0], "what was rejected speaks no more"
    assert (after.rules.predicted >= 0).any(), "the rule that somebody wrote does"


def test_what_nobody_touched_has_no_part_in_cross_validation(trained, reviewed):
    project = Project.open(trained)
    assert decided_rules(project, project.tasks[0]) == ()
    [own] = held_out_tasks(Project.open(reviewed))
    statuses = {rule.status for rule in own.decided}
    assert statuses == {"accepted", "rejected"} and "r-own00001" in {rule.id for rule in own.decided}


def test_rules_for_labels_that_the_task_does_not_have_are_told_of_once(trained, caplog):
    project = Project.open(trained)
    [own] = with_learners(project, [task_of(project)], holding_out=True)
    mined = mine_in_memory(own, workers=1)
    gone = mined.rules[0].model_copy(update={"id": "r-gone", "label": "gone"})
    fit(own, replace(mined, rules=(*mined.rules, gone)))
    told = [message for message in caplog.messages if "labels that the task does not have" in message]
    assert told == [
        f"{own.task.name}: 1 rules are for labels that the task does not have and are left out; "
        "`kdsl rules lint` lists them"
    ]


def test_copies_of_a_fold_spare_the_rules_of_that_fold(trained):
    project = Project.open(trained, ["augment.copies=1"])
    [own] = with_learners(project, [task_of(project)], holding_out=True)
    spared = []
    learn = own.learn

    def watched(rules):
        spared.append({rule.id for rule in rules})
        return learn(rules)

    mined = mine_in_memory(own, workers=1)
    fit(replace(own, learn=watched), mined)
    assert spared == [{rule.id for rule in mined.rules}, set()], "out of fold no rule of all samples is spared"
    assert spared[0]


@dataclass
class Remembering:
    """Trains the linear classifier and keeps which samples each was trained on."""

    trained_on: list[frozenset[str]] = field(default_factory=list)

    def fit(self, table, labels, n_labels):
        self.trained_on.append(frozenset(row.sample.id for row in table.rows))
        return LinearTrainer(0).fit(table, labels, n_labels)


def test_the_classifier_goes_without_the_folds_of_the_mining_whatever_the_seed_is_now(trained):
    """Else the arbiter would be fitted on predictions of what has seen the sample, by rules or by classifier."""
    own = task_of(Project.open(trained))
    mined = mine_in_memory(own, workers=1)
    trainer = Remembering()
    later = TaskProject(own.task, own.table, own.labels, own.settings, own.seed + 1, learn=lambda rules: trainer)
    assert later.folds.tolist() != own.folds.tolist()
    fit(later, mined)
    ids = np.array(own.sample_ids)
    without = [frozenset(ids[own.folds != fold]) for fold in range(own.folds.max() + 1)]
    assert set(trainer.trained_on) == {frozenset(ids), *without}


def test_what_was_ruled_out_is_heard_of_by_the_arbiter_alone(reviewed, monkeypatch):
    """The arbiter has to know, for folds of the mining may have found it too."""
    given = []

    def watched(task, table, labels, probabilities, archive, rules, statistics, seed, known):
        given.append((rules, seed))
        return fit_arbiter(task, table, labels, probabilities, archive, rules, statistics, seed, known)

    monkeypatch.setattr("kdsl.project.fitting.fit_arbiter", watched)
    shown = []
    own = replace(task_of(Project.open(reviewed)), seed=3)
    own = replace(own, learn=lambda rules: shown.extend(rules) or LinearTrainer(0))
    fitted = fit(own, mined_rules_of(Project.open(reviewed), own.task))
    [(rules, seed)] = given
    assert seed == 3
    assert {rule.status for rule in rules} == {"accepted", "rejected"}
    assert {rule.status for rule in (*fitted.rules, *shown)} == {"accepted"}


def test_the_arbiter_is_told_which_samples_a_recorded_model_says_nothing_about(trained, tmp_path):
    project = Project.open(trained)
    own = task_of(project)
    rows = [
        {"id": id, "label": own.task.label_names[label]}
        for id, label in list(zip(own.sample_ids, own.labels, strict=True))[::2]
    ]
    file = tmp_path / "said.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    project = Project.open(trained, [f"large=recorded:{file}"])
    [own] = with_learners(project, [task_of(project)])
    fitted = fit(own, mine_in_memory(own, workers=1))
    silent = ~fitted.trained_on.known
    assert silent[1::2].all() and not silent[::2].any()
    assert np.allclose(fitted.trained_on.probabilities[silent], 1 / len(own.task.labels))


def test_a_task_of_a_project_is_fitted_as_its_configuration_says(trained):
    changes = ["seed=7", "mining.iterations=11", "mining.max_conditions=1", "mining.focus=0.5"]
    plain, changed = (task_of(Project.open(trained, given)) for given in ([], changes))
    assert (changed.seed, changed.settings.focus) == (7, 0.5)
    assert (changed.settings.search.iterations, changed.settings.search.max_conditions) == (11, 1)
    assert changed.folds.tolist() != plain.folds.tolist(), "the seed deals the folds"
    assert plain.weights is None and len(set(changed.weights.tolist())) > 1
    few = plain.select(np.array([0, 1, 2]))
    assert sorted(few.folds.tolist()) == [0, 1, 2], "no more folds than samples"


def test_cross_validation_deals_its_folds_by_the_seed(trained):
    own = task_of(Project.open(trained))
    assert labelled_folds(own, 3).tolist() != labelled_folds(replace(own, seed=1), 3).tolist()
    assert len(labelled_folds(own, 3)) == len(own.table)
