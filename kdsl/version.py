"""The version: the one place that says it."""

__version__ = "0.3.0"

RESULTS_VERSION = ".".join(__version__.split(".")[:2])
"""Changes when the same data, configuration and seed may give other results; a patch release never changes it.

What was mined, trained or measured under another one counts as out of date.
"""
