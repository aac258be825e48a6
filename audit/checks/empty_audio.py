"""Rule S002, empty-audio: `pages/S002.md` says what it finds."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule("S002", faults("S002"))
