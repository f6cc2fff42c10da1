"""What `kdsl rules lint` says about one rule, made from what the page has counted already."""

import numpy as np

from kdsl.bitmaps import count, members
from kdsl.review.site import Site
from kdsl.review.store import StoredRule
from kdsl.rules.finding import Finding
from kdsl.rules.lint import OVERLAP, OVERLAP_SAMPLES, lint_rule


def findings(site: Site, stored: StoredRule) -> list[Finding]:
    """Only the rules and samples that a finding about this rule can depend on are looked at."""
    overview, index = site.overview(stored.task), site.indexes[stored.task]
    at = overview.position[stored.rule.id]
    shared = count(overview.bits & overview.bits[at][None, :])
    same_label = np.array([other.rule.label == stored.rule.label for other in overview.rules])
    heavy = (shared >= OVERLAP_SAMPLES) & (shared >= OVERLAP * overview.hits[at])
    same_conditions = np.array([other.when == stored.when for other in overview.rules])
    near = (overview.active & (same_label | heavy)) | same_conditions
    near[at] = False
    tests = stored.rule.tests
    named = {id: index.sample(id) for id in (*tests.hit, *tests.miss)}
    rows = sorted({*members(overview.bits[at]).tolist(), 0} if index.samples else ())
    samples = {index.samples[row].id: index.samples[row] for row in rows}
    samples |= {id: sample for id, sample in named.items() if sample is not None}
    return lint_rule(
        stored.file,
        [overview.rules[i].file for i in np.flatnonzero(near)],
        index.task,
        list(samples.values()),
        site.sidecars,
        {(entry.id, entry.when): entry for entry in overview.statistics if entry is not None},
        index.table,
    )
