"""Runs the plan: measures in parts, resumes, and puts the report together."""
