"""One face for every vision-language model: load, generate, score options."""
