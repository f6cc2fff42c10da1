"""Labels for unlabelled samples: from a teacher, where model and rules of the project agree with it."""
