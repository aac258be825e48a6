"""Fine-tuning of Qwen3-ASR, from a verified audit report to an evaluated model."""
