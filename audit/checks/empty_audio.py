"""S002: The recording has no samples."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule(
    code="S002",
    name="empty-audio",
    severity="error",
    summary="The recording has no samples.",
    mend="Export the audio again, or drop the row.",
    find=faults("S002"),
)
