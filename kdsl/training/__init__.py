"""Fine-tuning the large model."""
