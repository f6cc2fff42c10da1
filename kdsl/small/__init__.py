"""What the small model does: it proposes conditions, asks about images, describes them, and judges rules."""
