"""What rules can look at: the fields of a sample, each with the kind of test that it takes."""

TEXT_FIELDS = ("last_user", "user", "agent", "dialogue", "ocr", "ocr.top", "ocr.bottom", "caption")
NUMBER_FIELDS = ("image.aspect", "image.count", "turns")
QUESTION_FIELD = "sees"
FIELDS = (*TEXT_FIELDS, *NUMBER_FIELDS, QUESTION_FIELD)
