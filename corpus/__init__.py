"""Corpora: formats, utterances, audio, transcripts, fingerprints."""
