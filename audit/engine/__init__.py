"""Runs the plan: measures utterances shard by shard, keeps the shards on disk, and resumes."""
