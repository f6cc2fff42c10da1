"""How good predictions are: metrics with intervals, tables, plots, for the model alone, the rules alone and both."""
