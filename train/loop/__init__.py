"""The training loop, and the state on disk from which it can be resumed."""
