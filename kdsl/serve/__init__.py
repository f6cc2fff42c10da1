"""The prediction service: predictions, explanations and feedback over HTTP."""
