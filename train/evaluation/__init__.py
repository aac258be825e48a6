"""Error rates of a model, comparisons of two evaluations, and averages of checkpoints."""
