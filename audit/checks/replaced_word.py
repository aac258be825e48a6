"""Rule A006, replaced-word: `pages/A006.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import runs, self_matching
from asr_gate.audit.records.controls import LIKELY

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    for row in self_matching(rows, context):
        # A word that is not said at all has its own rule (A005).
        flags = [w.replaced > LIKELY and w.spoken >= LIKELY for w in row.words]
        for first, after in runs(flags):
            words = row.words[first:after]
            yield Found(
                row.id,
                f"something else is said for '{' '.join(w.text for w in words)}' "
                f"(probability: {max(w.replaced for w in words):.2f})",
                words[0].start,
                words[-1].end,
                context.calibration.can_detect(row.domain, "substitution"),
            )


RULE = Rule("A006", _find, compares=True)
