"""Errors in single words, which exclude no row: whether much of what is kept has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

from asr_gate.audit.controls.calibrate import USUAL
from asr_gate.audit.decide.limits import MOST, NAMES
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.records.controls import EVIDENCE, Evidence
from asr_gate.audit.records.power import MIN_PLANTED

RULES = ("A005", "A006", "A007")
"""They find single words that are not said, said otherwise, or not written."""
WORD_EVIDENCE: tuple[Evidence, ...] = ("deletion", "substitution", "insertion")
MANY = 0.3
"""Share of rows with such findings above which it is at least CAUTION. Of right transcripts, 3 %
have one by chance, and of read speech as it is published, some 10 %."""


def many_word_errors(
    sample: JudgedSample, domains: Container[str], excluded: Container[str]
) -> list[str]:
    """Why it is no PROCEED where much of what training would keep has errors in single words.

    The share of low quality says nothing of them. Where nearly all rows have the same one, a
    planted one looks like the others, and the controls find neither. Then most rows pass what right
    transcripts stay under elsewhere; under a weak aligner, hardly any do.

    Args:
        sample: the sampled utterances, judged.
        domains: that can be judged.
        excluded: ids of rows that training leaves out.
    """
    calibration = sample.calibration
    kept = [
        row.measured
        for row in sample.rows
        if row.domain in domains
        and row.id not in excluded
        and row.words
        and calibration.recognises_enough(row.measured)
    ]
    if len(kept) < MIN_PLANTED:
        return []
    those = f"of the {len(kept)} sampled rows that training would keep"
    here = {row.id for row in kept}
    found = {(f.id, f.code) for f in sample.findings if f.code in RULES and f.counts}
    codes = Counter(code for identity, code in found if identity in here)
    wrong = len({identity for identity, _ in found} & here)
    reasons = []
    if wrong > MANY * len(kept):
        each = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
        reasons.append(
            f"{wrong} {those} have words that are not what is said ({each}): more than {MANY:.0%}, "
            "and no row is excluded for single words"
        )
    for evidence in WORD_EVIDENCE:
        blind = [row for row in kept if not calibration.can_detect(row.domain, evidence)]
        strong = sum((row.evidence(evidence) or 0.0) > USUAL[evidence] for row in blind)
        if strong > MOST * len(kept):
            kinds = " or ".join(NAMES[kind] for kind in EVIDENCE[evidence])
            reasons.append(
                f"{strong} {those} look as if they had {kinds}, and planted ones do not stand out "
                "among them: most rows may have them, or the aligner does not hear this speech; "
                "listen to a few"
            )
    return reasons
