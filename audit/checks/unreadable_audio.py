"""S001: The audio is missing, truncated, or not audio."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule(
    code="S001",
    name="unreadable-audio",
    severity="error",
    summary="The audio is missing, truncated, or not audio.",
    mend="Export the audio again, or drop the row.",
    find=faults("S001"),
)
