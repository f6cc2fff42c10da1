"""Why training samples have their labels: asked of a model, checked, thinned, or brought from elsewhere."""
