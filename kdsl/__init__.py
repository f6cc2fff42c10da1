"""KDSL: few-shot multimodal classification with rules and weights kept apart (docs/, README.md)."""

__version__ = "0.2.0"
