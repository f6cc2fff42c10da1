"""Trainers and servers that others wrote, side by side with KDSL: see scripts/peers."""
