"""What the large model would be fine-tuned on, in a folder from which LLaMA-Factory or ms-swift trains it."""
