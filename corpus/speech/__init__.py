"""Decoding, resampling, speech activity and measurements of the signal."""
