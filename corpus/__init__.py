"""What was recorded and what was written: utterances, readers, speech, text, fingerprint."""
