"""Variants of rules for the page and the command line, and taking one of them as an edit."""

from kdsl.errors import KdslError
from kdsl.mining.refine import Refinement, Variant
from kdsl.project.project import Project
from kdsl.project.refining import Refiner, refiner_of
from kdsl.project.rule_reports import rule_of
from kdsl.review.decisions import edit
from kdsl.review.exchange import open_store
from kdsl.review.reviewer import reviewer_name
from kdsl.review.site import Site
from kdsl.review.store import StoredRule


def variants_of(site: Site, stored: StoredRule) -> Refinement:
    """What the training samples say about the rule, as its file is now.

    The samples are prepared the first time, where that has not been done in the background.
    """
    index = site.indexes[stored.task]
    if index.refiner is None:
        index.refiner = Refiner.of(site.config, index.task, index.table)
    return index.refiner.refine(stored.rule.conditions, stored.rule.label)


def take_variant(project: Project, id: str, number: int, by: str | None = None) -> tuple[StoredRule, Variant]:
    """Make the rule with that id its variant with that number, from 1, as an edit in the review page does.

    Its status stays, an approval becomes stale, and `kdsl review` can undo it. Returns the rule as it was, and the
    variant. Raises KdslError where there is no such variant, and where the rule's file was changed meanwhile.
    """
    task, _ = rule_of(project, id)
    person, store = reviewer_name(by), open_store(project)
    stored = store.get(task.name, id)
    variants = refiner_of(project, task).refine(stored.rule.conditions, stored.rule.label).variants
    if not 1 <= number <= len(variants):
        there = f"it has {len(variants)}, numbered from 1" if variants else "the samples know none that is better"
        raise KdslError(f"--take {number}: {id} has no such variant; {there}")
    chosen = variants[number - 1]
    edit(store, person, task.name, id, stored.version, chosen.conditions, stored.rule.label)
    return stored, chosen
