"""Finding rules: candidate conditions, their prior, the search, the choice of a small set, and honest estimates."""
