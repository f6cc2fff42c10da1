"""Attacks on KDSL: bad files and kills, and what must hold whatever happens. Run by scripts/attack."""
