"""Parts of wav2vec2-like networks that audits and training share; needs torch."""
