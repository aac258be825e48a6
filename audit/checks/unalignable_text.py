"""T002: No character of the transcript is in the acoustic model's alphabet."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule(
    code="T002",
    name="unalignable-text",
    severity="error",
    summary="No character of the transcript is in the acoustic model's alphabet.",
    mend="Use an aligner that knows this script, or drop the row.",
    find=faults("T002"),
)
