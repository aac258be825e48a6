"""The loop around training: what models get wrong, whether one is better, which one is in use."""
