"""What the audit's evidence detects on real speech, beside other people's aligners."""
