"""A model behind an HTTP server that speaks the OpenAI protocol."""
