"""The local web page on which people review the rule base; rule files are the truth, a log beside them the history."""
