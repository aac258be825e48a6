"""Rule A004, too-long-to-align: `pages/A004.md` says what it finds."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule("A004", faults("A004"))
