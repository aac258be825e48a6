"""Training rows: which ones are used, and how they become tensors."""
