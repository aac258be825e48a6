"""T001: The transcript has no letters."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule(
    code="T001",
    name="empty-text",
    severity="error",
    summary="The transcript has no letters.",
    mend="Transcribe it, or drop the row.",
    find=faults("T001"),
)
