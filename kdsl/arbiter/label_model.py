"""The label model: how probable each label of an unlabelled sample is when rules hit it."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from kdsl.arbiter.evidence import Flags, Floats, label_evidence, overlap
from kdsl.mining.reliability import rule_weights


def rule_evidence(hits: Flags, labels: NDArray[np.int64], reliability: Floats, base_rates: Floats) -> Floats:
    """What rules say about samples that nobody labelled: [n_samples, n_labels], a row of zeros where they abstain.

    `hits` [n_samples, n_rules]; of every rule the label and its `reliability` [n_rules]; `base_rates` [n_labels]. A
    rule says the log odds by which its reliability is above its label's base rate, and says nothing where it is below.
    Rules of one label that overlap on these samples count once, as they do for the arbiter (`label_evidence`).
    """
    weights = rule_weights(reliability, base_rates[labels])
    people = np.ones(len(labels), dtype=bool)
    return label_evidence(hits, labels, weights, overlap(labels, hits), len(base_rates), people).people


def label_probabilities(prior: Floats, evidence: Floats) -> Floats:
    """Naive Bayes: `p(label) ∝ prior(label) · exp(evidence(label))`, both [n_samples, n_labels], and the result.

    A single rule of reliability q gives its label just q where the prior is the base rates. Rules that agree add their
    log odds, rules that conflict share what there is. With a classifier's prediction as prior it is said how far the
    rules should change its mind.
    """
    return np.asarray(softmax(np.log(np.maximum(prior, 1e-9)) + evidence, axis=1), dtype=np.float64)
