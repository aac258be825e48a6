"""Rule A009, cut-off: `pages/A009.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import self_matching
from asr_gate.audit.records.controls import LIKELY

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    for row in self_matching(rows, context):
        yield from _text(row, context)
        yield from _audio(row, context)


def _text(row: Judged, context: Context) -> Iterator[Found]:
    """Speech before the first word or after the last one."""
    # Here, because the rules are listed where nothing is installed that aligns.
    from asr_gate.audit.align.coverage import common

    least = context.policy.quality.max_cut * row.measured.speech_seconds
    for gap, edge in ((row.gaps[0], "begins"), (row.gaps[-1], "ends")):
        spoken = common(row.measured.activity, [(gap.start, gap.end)])
        if context.calibration.passes(row.domain, "edge", gap.insertion) and spoken > least:
            yield Found(
                row.id,
                f"{spoken:.1f} s of speech lie {'before' if edge == 'begins' else 'after'} where "
                f"the transcript {edge}",
                gap.start,
                gap.end,
                context.calibration.can_detect(row.domain, "edge"),
            )


def _audio(row: Judged, context: Context) -> Iterator[Found]:
    """Words at an edge of the text that nobody says."""
    letters = sum(word.letters for word in row.words)
    for words, edge in ((row.words, "begins"), (row.words[::-1], "ends")):
        missing = []
        for word in words:
            if word.spoken >= LIKELY:
                break
            missing.append(word)
        # One word is no cut; all of them are no edge.
        if 1 < len(missing) < len(words) and (
            sum(word.letters for word in missing) > context.policy.quality.max_cut * letters
        ):
            said = " ".join(word.text for word in (missing if edge == "begins" else missing[::-1]))
            yield Found(
                row.id,
                f"the audio {edge} {'after' if edge == 'begins' else 'before'} '{said}'",
                min(word.start for word in missing),
                max(word.end for word in missing),
                context.calibration.can_detect(row.domain, "deletion"),
            )


RULE = Rule("A009", _find)
