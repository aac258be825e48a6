"""Rule A002, text-too-long: `pages/A002.md` says what it finds."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule("A002", faults("A002"))
