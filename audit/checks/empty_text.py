"""Rule T001, empty-text: `pages/T001.md` says what it finds."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule("T001", faults("T001"))
