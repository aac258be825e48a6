"""The loop: audit, sweep, train, evaluate, gate, promote; each step once for what it was given."""
