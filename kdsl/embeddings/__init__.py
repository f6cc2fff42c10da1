"""Sentence encoders behind one face, their vectors cached by content."""
