"""Conditions, rules, the rule base on disk, the engine that finds which rules hold, and lint."""
