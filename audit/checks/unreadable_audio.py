"""Rule S001, unreadable-audio: `pages/S001.md` says what it finds."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule("S001", faults("S001"))
