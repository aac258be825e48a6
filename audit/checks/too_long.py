"""A004: the recording is too long to be aligned."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule(
    code="A004",
    name="too-long-to-align",
    severity="error",
    summary="The recording is too long to be aligned.",
    mend="Cut the recording into utterances.",
    find=faults("A004"),
)
