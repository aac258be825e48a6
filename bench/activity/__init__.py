"""Speech activity by a network and by level, side by side."""
