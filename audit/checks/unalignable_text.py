"""Rule T002, unalignable-text: `pages/T002.md` says what it finds."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule, faults

RULE = Rule("T002", faults("T002"))
