"""Dialogues with free answers: what a model answers, how probable answers are, and how good they are."""
