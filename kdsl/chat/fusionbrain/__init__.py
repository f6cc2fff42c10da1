"""What KDSL hands in to FusionBrain Challenge 3.0: the export, and what it does in the organisers' machine."""
