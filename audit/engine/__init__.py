"""Runs the plan: measures utterances, keeps what is measured on disk in shards, and resumes."""
