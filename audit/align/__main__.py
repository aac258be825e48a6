"""Compile the lattice's kernels into numba's cache: `python -m asr_gate.audit.align`.

The first audit on a machine does it too; then it waits for them, a quarter of a minute or so.
"""

from __future__ import annotations

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import align, prepare, text_loss
from asr_gate.corpus.text.letters import spell

MODEL = ModelInfo(
    name="none",
    revision="",
    weights_sha256="",
    language="en",
    tokens=("<blank>", " ", *"abc"),
    blank=0,
    space=1,
    stride=0.02,
    sample_rate=16000,
    delay=0.0,
)


def main() -> None:
    """Align three words with noise, which calls every kernel as an audit does."""
    noise = np.random.default_rng(0).standard_normal((100, len(MODEL.tokens)))
    emission = np.log(np.exp(noise) / np.exp(noise).sum(axis=1, keepdims=True)).astype(np.float32)
    prepared = prepare(emission, MODEL, ((0.0, 2.0),))
    transcript = spell("cab abba bab", frozenset("abc"), str, "en")
    align(prepared, transcript, MODEL)
    text_loss(prepared, transcript, MODEL)


if __name__ == "__main__":
    main()
