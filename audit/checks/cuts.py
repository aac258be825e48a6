"""Where a transcript or its audio is cut off, for the rules that tell a cut from another text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from asr_gate.audit.checks.rule import Context
from asr_gate.audit.records.controls import LIKELY, Evidence
from asr_gate.corpus.utterance import Seconds

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged, JudgedWord

MOSTLY = 0.9
"""Share of the letters at an edge that are not said, where the audio is cut off: a weak model takes
chance sounds for a few of them."""
SHOWN = 6
"""Words of a part that is not said, in messages."""


class Cut(NamedTuple):
    """One edge that is cut off."""

    evidence: Evidence
    message: str
    share: float
    """Of the speech that the text lacks, or of the letters that the audio lacks."""
    start: Seconds
    end: Seconds


def text_cuts(row: Judged, context: Context) -> Iterator[Cut]:
    """Speech before the first word or after the last one: the text is cut off."""
    # Here, because the rules are listed where nothing is installed that aligns.
    from asr_gate.audit.align.coverage import common

    speech = row.measured.speech_seconds
    for gap, edge in ((row.gaps[0], "begins"), (row.gaps[-1], "ends")):
        spoken = common(row.measured.activity, [(gap.start, gap.end)])
        if (
            context.calibration.passes(row.domain, "edge", gap.insertion)
            and spoken > context.policy.quality.max_cut * speech
        ):
            said = (
                f"{spoken:.1f} s of speech lie {'before' if edge == 'begins' else 'after'} where "
                f"the transcript {edge}"
            )
            yield Cut("edge", said, spoken / speech, gap.start, gap.end)


def audio_cuts(row: Judged, context: Context, *, purity: float = 1.0) -> Iterator[Cut]:
    """Words at an edge of the text that nobody says: the audio is cut off.

    Args:
        row: with words.
        context: for the policy.
        purity: least share of their letters that is not said.
    """
    letters = sum(word.letters for word in row.words)
    for words, edge in ((row.words, "begins"), (row.words[::-1], "ends")):
        missing = words[: _run(words, purity)]
        # One word is no cut; all of them are no edge.
        if 1 < len(missing) < len(words) and (
            _letters(missing) > context.policy.quality.max_cut * letters
        ):
            in_order = missing if edge == "begins" else missing[::-1]
            yield Cut(
                "deletion",
                f"the audio {edge} {'after' if edge == 'begins' else 'before'} "
                f"'{_quoted([word.text for word in in_order])}'",
                _letters(missing) / letters,
                min(word.start for word in missing),
                max(word.end for word in missing),
            )


def mismatching_cuts(row: Judged, context: Context) -> list[Cut]:
    """The cuts that explain why a text hardly fits its audio; empty: it is another's.

    A cut costs as much as another text does. But the part of the text that is there is said, and
    the rest of the speech is claimed. Of another text neither is true.
    """
    least = context.policy.quality.min_coverage

    def counts(cuts: Iterator[Cut]) -> list[Cut]:
        return [c for c in cuts if context.calibration.can_detect(row.domain, c.evidence)]

    found = counts(text_cuts(row, context))
    outside = sum(cut.share for cut in found)
    if (
        found
        and row.text_coverage >= least
        and row.speech_coverage >= least * (1 - min(outside, 1.0))
    ):
        return found
    for cut in counts(audio_cuts(row, context, purity=MOSTLY)):
        # What is kept within the missing part is next to nothing.
        if row.text_coverage >= least * (1 - cut.share) and row.speech_coverage >= least:
            return [cut]
    return []


def _run(words: Sequence[JudgedWord], purity: float) -> int:
    """How many words from the start on are not said, but for some of their letters."""
    longest = letters = unsaid = 0
    for number, word in enumerate(words, start=1):
        letters += word.letters
        if word.spoken < LIKELY:
            unsaid += word.letters
            if unsaid >= purity * letters:
                longest = number
    return longest


def _letters(words: Sequence[JudgedWord]) -> int:
    return sum(word.letters for word in words)


def _quoted(words: Sequence[str]) -> str:
    if len(words) <= SHOWN:
        return " ".join(words)
    return f"{' '.join(words[: SHOWN // 2])} … {' '.join(words[-SHOWN // 2 :])}"
