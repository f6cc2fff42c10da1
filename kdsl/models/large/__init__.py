"""Vision-language models as classifiers: their weights, what they are asked, and what their answers tell."""
