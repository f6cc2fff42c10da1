"""What a rule can look at: texts of a dialogue, OCR text and zones, captions, image numbers, visual questions."""
