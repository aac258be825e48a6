"""The bundled corpus: two manifests over one small set of recordings, and how it is made."""
