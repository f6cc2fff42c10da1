"""Reading, writing, checking and splitting data sets."""
