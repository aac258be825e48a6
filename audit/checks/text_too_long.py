"""A002: The text has more letters than the audio has time for."""

from __future__ import annotations

from audit.checks.rule import Rule, faults

RULE = Rule(
    code="A002",
    name="text-too-long",
    severity="error",
    summary="The text has more letters than the audio has time for.",
    find=faults("A002"),
)
