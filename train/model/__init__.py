"""The model: loading, saving, adapters, the loss, and which parameters train."""
