"""ONNX models: opening them, and where they compute."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# It notes the machine under an id as soon as it is imported: no audit of private speech should.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from asr_gate.corpus.errors import UserError


def open_session(weights: Path | bytes, device: str) -> tuple[Any, str]:
    """A session on one thread (see `batching`), and where it computes: `cpu` or `cuda`.

    Args:
        weights: the ONNX file, or its content.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UserError: the file is no ONNX model, or `cuda` was asked for and is not there.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    providers, there = ["CPUExecutionProvider"], "cpu"
    if device != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
        there = "cuda"
    elif device == "cuda":
        raise UserError(
            "--device cuda: this onnxruntime runs on the CPU only; install onnxruntime-gpu, or "
            "use --device auto"
        )
    try:
        given = weights if isinstance(weights, bytes) else str(weights)
        return onnxruntime.InferenceSession(given, options, providers), there
    # onnxruntime raises classes of its compiled module, with no base of their own.
    except Exception as error:
        name = "the model" if isinstance(weights, bytes) else weights
        raise UserError(f"{name}: not an ONNX model that can be read ({error})") from error
