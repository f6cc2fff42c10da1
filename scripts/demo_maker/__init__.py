"""Makes the synthetic demo project: dialogues, drawn app pages, their OCR text, and the files around them."""
