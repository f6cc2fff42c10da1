"""Classifiers that play the large model: a probability for every label, behind one protocol."""
