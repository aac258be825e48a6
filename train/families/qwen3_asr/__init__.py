"""Qwen3-ASR: an audio tower whose outputs a language model reads in its prompt."""
