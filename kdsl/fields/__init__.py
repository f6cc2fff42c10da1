"""What rules can look at: the fields of a sample, each with the kind of test that it takes."""

TEXT_FIELDS = (
    "text", "last_user", "user", "last_agent", "agent", "dialogue", "ocr", "ocr.header", "ocr.top", "ocr.body",
    "ocr.bottom", "ocr.bar", "caption", "voice",
)  # fmt: skip
"""Where terms and meanings are looked for. `text` is what the sample says: the name for it where there are no
dialogues, and of a dialogue all turns. What is said in a sound is a part of its turn; `voice` has that alone."""
NUMBER_FIELDS = (
    "image.aspect", "image.count", "image.text_area", "image.text_lines", "audio.seconds", "audio.count", "turns",
)  # fmt: skip
KIND_FIELD = "image.kind"
COLOUR_FIELD = "image.colour"
SIZE_FIELD = "ocr.size"
MEANING_FIELD = "means"
QUESTION_FIELD = "sees"
FIELDS = (*TEXT_FIELDS, *NUMBER_FIELDS, KIND_FIELD, COLOUR_FIELD, SIZE_FIELD, MEANING_FIELD, QUESTION_FIELD)

KINDS = ("photo", "screenshot", "long_page")
"""Of an image: taken with a camera; one screen of a device; several screens in one picture."""
ZONES = {
    "page": (0.0, 1.0),
    "header": (0.0, 0.1),
    "top": (0.0, 0.2),
    "body": (0.2, 0.8),
    "bottom": (0.8, 1.0),
    "bar": (0.9, 1.0),
}
"""zone of an image → where it begins and ends, as shares of the height"""
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "grey", "white")
