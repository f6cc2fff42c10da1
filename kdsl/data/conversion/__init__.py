"""Writing samples, and what was predicted for them, in the forms that other tools read."""
