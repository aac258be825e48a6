"""The rules: one file each, with a stable code. A new rule is one file and one line in `RULES`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.checks import (
    clipped_audio,
    cut_off,
    duplicate,
    duration_outlier,
    empty_audio,
    empty_text,
    low_confidence,
    low_coverage,
    mostly_unknown,
    other_language,
    other_text,
    rate_outlier,
    replaced_word,
    silent_audio,
    text_too_long,
    too_long,
    unalignable_text,
    unknown_characters,
    unreadable_audio,
    unspoken_word,
    untranscribed_speech,
)
from audit.checks.rule import Context, Found, Rule
from audit.measured import Measured
from audit.report.schema import Finding

RULES: tuple[Rule, ...] = (
    low_coverage.RULE,
    text_too_long.RULE,
    low_confidence.RULE,
    too_long.RULE,
    unspoken_word.RULE,
    replaced_word.RULE,
    untranscribed_speech.RULE,
    other_text.RULE,
    cut_off.RULE,
    duplicate.RULE,
    duration_outlier.RULE,
    rate_outlier.RULE,
    unreadable_audio.RULE,
    empty_audio.RULE,
    silent_audio.RULE,
    clipped_audio.RULE,
    empty_text.RULE,
    unalignable_text.RULE,
    unknown_characters.RULE,
    mostly_unknown.RULE,
    other_language.RULE,
)


def run_rules(rows: Sequence[Measured], context: Context) -> Iterator[Finding]:
    """Findings of every rule on every audited utterance, by rule and then in the order of rows."""
    for rule in RULES:
        for found in (Found(*what) for what in rule.find(rows, context)):
            yield Finding(
                id=found.id,
                code=rule.code,
                severity=rule.severity,
                message=found.message,
                origin=context.origins[found.id],
                start=found.start,
                end=found.end,
                counts=found.counts,
            )
