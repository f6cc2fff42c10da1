"""Merging rule hits with the classifier's probabilities into one prediction that explains itself."""
