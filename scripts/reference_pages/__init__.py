"""The pages that `scripts/reference` writes: one module a page, each a function that returns Markdown."""
