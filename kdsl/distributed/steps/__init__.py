"""What is done to shards: one file a step."""
