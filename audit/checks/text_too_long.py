"""A002: The text has more letters than the audio has time for."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule(
    code="A002",
    name="text-too-long",
    severity="error",
    summary="The text has more letters than the audio has time for.",
    mend="Look for the text of a longer recording, or for audio that was cut; drop the row.",
    find=faults("A002"),
)
