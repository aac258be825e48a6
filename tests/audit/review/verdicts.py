"""Verdicts for tests."""

from __future__ import annotations

from typing import Any

from asr_gate.audit.review.verdicts import Verdict

DIGEST = "sha256:" + "0" * 64


def fields(identity: str = "u1", verdict: str = "right", **changes: Any) -> dict[str, Any]:
    """A verdict as the page writes it."""
    return {
        "report": DIGEST,
        "id": identity,
        "verdict": verdict,
        "text": None,
        "start": None,
        "end": None,
        "note": "",
        "who": "",
        "at": f"2026-11-29T{changes.pop('hour', 12):02d}:00:00Z",
    } | changes


def verdict(identity: str = "u1", verdict: str = "right", **changes: Any) -> Verdict:
    return Verdict.model_validate(fields(identity, verdict, **changes))
