"""ONNX models: opening them, and where they compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from asr_gate.corpus.errors import UserError


def open_session(weights: Path, device: str) -> tuple[Any, str]:
    """A session on one thread (see `batching`), and where it computes: `cpu` or `cuda`.

    Args:
        weights: the ONNX file.
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
        return onnxruntime.InferenceSession(str(weights), options, providers), there
    # onnxruntime raises classes of its compiled module, with no base of their own.
    except Exception as error:
        raise UserError(f"{weights}: not an ONNX model that can be read ({error})") from error
