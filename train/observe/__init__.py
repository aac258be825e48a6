"""What a run reports while it trains: run.json, the tracker, the log and the terminal."""
