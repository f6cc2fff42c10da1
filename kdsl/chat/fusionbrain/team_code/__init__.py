"""Hands in to FusionBrain Challenge 3.0; see generate.py."""
