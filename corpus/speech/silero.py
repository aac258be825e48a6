"""How likely speech is at every moment, by silero-vad: https://github.com/snakers4/silero-vad.

`silero_vad.onnx` is `silero_vad/data/silero_vad_16k_sequence.onnx` of the package silero-vad 6.2.3,
unchanged, under the MIT licence (`silero_vad.LICENSE`). It lies here because that package needs
torch, and an audit does without.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

WEIGHTS = Path(__file__).with_name("silero_vad.onnx")
SHA256 = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"
"""Of the weights. It stands in the code, whose digest all kept measurements carry."""
RATE = 16000
"""Samples a second."""
FRAME = 512
"""Samples of one decision: 32 ms."""
CONTEXT = 64
"""Samples before each frame that the network sees with it."""
BLOCK = 512
"""Frames that are computed at once: memory stays bounded, results do not change."""


def speech_probability(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """The probability of speech in frames of 32 ms, each from all that comes before it.

    Args:
        samples: shape (n,), full scale 1.0.

    Returns:
        Shape (ceil(n / 32 ms),).
    """
    if sample_rate != RATE:
        samples = soxr.resample(samples, sample_rate, RATE)
    count = -(-len(samples) // FRAME)
    padded = np.zeros(CONTEXT + count * FRAME, np.float32)
    padded[CONTEXT : CONTEXT + len(samples)] = samples
    windows = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT + FRAME)[::FRAME]
    hidden = cell = np.zeros((1, 1, 128), np.float32)
    found = np.zeros(count, np.float32)
    for start in range(0, count, BLOCK):
        block = np.ascontiguousarray(windows[start : start + BLOCK])
        given = {"input": block, "h": hidden, "c": cell}
        values, hidden, cell = _session().run(["speech_probs", "hn", "cn"], given)
        found[start : start + BLOCK] = values.reshape(-1)
    return found


@cache
def _session() -> Any:
    """The network, on one thread; several may run it at a time."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as for acoustic models
    import onnxruntime

    content = WEIGHTS.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{WEIGHTS}: not the weights that this version was measured with")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
