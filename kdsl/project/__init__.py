"""A project: what kdsl.yaml means, and the steps that are done with it."""
