"""Decide whether a speech-recognition training set is fit to train on.

Example:
    >>> import asr_gate
    >>> report = asr_gate.audit_corpus("train.jsonl", aligner="mms", language="he")
    >>> report.utterances.sort_values("quality").head(20)
    >>> asr_gate.verify(report, "train.jsonl")

What is listed here is public and keeps its names; everything else may change. Importing this
package loads nothing heavy: each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_gate.api import (
        AuditReport,
        CautionNotAccepted,
        NoVerdict,
        Stopped,
        UserError,
        audit_corpus,
        load_report,
        verify,
    )
    from asr_gate.tracking import Tracker, TrackerSettings

    __version__: str

__all__ = [
    "AuditReport",
    "CautionNotAccepted",
    "NoVerdict",
    "Stopped",
    "Tracker",
    "TrackerSettings",
    "UserError",
    "__version__",
    "audit_corpus",
    "load_report",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("asr-gate")
    if name not in __all__:
        raise AttributeError(f"module 'asr_gate' has no attribute {name!r}")
    source = "tracking" if name.startswith("Tracker") else "api"
    return getattr(importlib.import_module(f"asr_gate.{source}"), name)


def __dir__() -> list[str]:
    return __all__
