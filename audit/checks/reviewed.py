"""Rule R001, reviewed: `pages/R001.md` says what it finds."""

from __future__ import annotations

from asr_gate.audit.checks.rule import Rule

# No audit finds it: `asr review --apply` adds what people say.
RULE = Rule("R001", lambda rows, context: iter(()))
