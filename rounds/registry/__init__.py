"""Which model is in use: the log of promotions, and what a promotion needs."""
