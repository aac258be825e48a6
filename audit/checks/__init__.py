"""The rules: one file each, with a stable code, and one page each in `pages`.

A new rule is one file here, one page in `pages`, an import and an entry in `RULES`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from asr_gate.audit.checks import (
    broken_characters,
    channels_differ,
    clipped_audio,
    cut_off,
    dc_offset,
    domain_imbalance,
    duplicate,
    duration_outlier,
    edge_silence,
    empty_audio,
    empty_text,
    leaked_audio,
    leaked_text,
    low_confidence,
    low_coverage,
    low_sample_rate,
    masked_words,
    mixed_numbers,
    mixed_script,
    model_limits,
    mostly_unknown,
    narrow_band,
    noisy_audio,
    other_language,
    other_script,
    other_text,
    rate_outlier,
    repeated_text,
    replaced_word,
    reviewed,
    silent_audio,
    speaker_imbalance,
    speaker_rate,
    text_language,
    text_markup,
    text_of_another,
    text_too_long,
    too_few_tokens,
    too_long,
    unalignable_text,
    unknown_characters,
    unreadable_audio,
    unspoken_word,
    untranscribed_speech,
)
from asr_gate.audit.checks.apart import Apart, pays
from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.power import Calibration
from asr_gate.audit.records.rules import Severity, catalogue
from asr_gate.corpus.rows import with_ids
from asr_gate.corpus.utterance import Corpus

# Rules are listed and explained where nothing is installed that measures.
if TYPE_CHECKING:
    from asr_gate.audit.policy import Policy
    from asr_gate.audit.records.judged import Judged

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
    too_few_tokens.RULE,
    masked_words.RULE,
    text_of_another.RULE,
    duplicate.RULE,
    duration_outlier.RULE,
    rate_outlier.RULE,
    leaked_audio.RULE,
    leaked_text.RULE,
    repeated_text.RULE,
    speaker_rate.RULE,
    model_limits.RULE,
    speaker_imbalance.RULE,
    domain_imbalance.RULE,
    reviewed.RULE,
    unreadable_audio.RULE,
    empty_audio.RULE,
    silent_audio.RULE,
    clipped_audio.RULE,
    low_sample_rate.RULE,
    narrow_band.RULE,
    dc_offset.RULE,
    channels_differ.RULE,
    noisy_audio.RULE,
    edge_silence.RULE,
    empty_text.RULE,
    unalignable_text.RULE,
    unknown_characters.RULE,
    mostly_unknown.RULE,
    other_language.RULE,
    other_script.RULE,
    mixed_script.RULE,
    text_markup.RULE,
    broken_characters.RULE,
    text_language.RULE,
    mixed_numbers.RULE,
)


def run_rules(
    rows: Sequence[Judged], context: Context, *, errors_only: bool = False
) -> Iterator[Finding]:
    """Findings of every rule on every audited utterance, by rule and then in the order of rows.

    The policy may switch a rule off or give it another severity. Of rows that were not sampled, a
    warning or a note lists no more than the policy allows; the last message says how many more
    there are. Errors are all listed: each of them excludes its row.

    Args:
        rows: the judged utterances.
        context: what else rules look at.
        errors_only: leave out the rules that make no utterance one of low quality.
    """
    sampled = {row.id for row in rows}
    untold = {row.id for row in rows if row.domain in context.untold}
    every: list[tuple[Rule, Severity, Found]] = []
    wanted: dict[Rule, Severity] = {}
    for rule in RULES:
        severity = context.policy.rules[rule.code]
        if severity != "off" and (severity == "error" or not errors_only):
            wanted[rule] = severity
    elsewhere = [rule for rule in wanted if rule.texts_only] if pays(context) else []
    with Apart(elsewhere, context) if elsewhere else nullcontext() as apart:
        # Those of the other process last.
        for rule in sorted(wanted, key=elsewhere.__contains__):
            severity = wanted[rule]
            most = None if severity == "error" else context.policy.corpus.unsampled_listed
            if apart is not None and rule in elsewhere:
                in_rows: Iterable[Found | tuple[str, str]] = apart.found(rule.code)
            else:
                in_rows = rule.find(rows, context)
            for found in _listed(in_rows, sampled, most):
                # Where nothing can be told apart, what holds text against sound is no evidence.
                blind = rule.compares and found.id in untold
                every.append((rule, severity, found._replace(counts=False) if blind else found))
    every.sort(key=lambda one: RULES.index(one[0]))
    yield from _findings(every, context.corpus)


def find_in_corpus(
    codes: Collection[str],
    corpus: Corpus,
    content: Mapping[str, str],
    policy: Policy,
    language: str,
) -> Iterator[Finding]:
    """All findings of rules that need no measurements, in every row, sampled or not.

    Args:
        codes: of the rules; those that look at the sample alone are passed over.
        corpus: all rows.
        content: `Fingerprint.comparable` of the corpus.
        policy: where their limits are, and how much they weigh.
        language: of the rows that name none.
    """
    context = Context(
        policy=policy,
        content=content,
        language=language,
        calibration=Calibration({}, {}, {}),
        absolute_thresholds={},
        corpus=corpus,
    )
    every: list[tuple[Rule, Severity, Found]] = []
    for rule in RULES:
        if rule.whole_corpus and rule.code in codes:
            severity = policy.rules[rule.code]
            if severity == "off":  # asked for all the same
                severity = catalogue()[rule.code].severity
            every += [(rule, severity, Found(*what)) for what in rule.find([], context)]
    yield from _findings(every, corpus)


def _findings(every: Sequence[tuple[Rule, Severity, Found]], corpus: Corpus) -> Iterator[Finding]:
    rows = with_ids(corpus.utterances, (found.id for _, _, found in every))
    for rule, severity, found in every:
        row = rows[found.id]
        yield Finding(
            id=found.id,
            code=rule.code,
            severity=severity,
            message=found.message,
            origin=corpus.relative_origin(row.origin),
            domain=row.domain,
            speaker=row.speaker,
            split=row.split,
            start=found.start,
            end=found.end,
            counts=found.counts,
        )


def _listed(
    findings: Iterable[Found | tuple[str, str]], sampled: set[str], most: int | None
) -> Iterator[Found]:
    """All findings of sampled rows, and at most so many of others; None: all."""
    others: list[Found] = []
    for found in (Found(*what) for what in findings):
        if found.id in sampled:
            yield found
        else:
            others.append(found)
    listed = others[:most]
    if listed and (left := len(others) - len(listed)):
        more = f"{listed[-1].message} (and {left} more findings in rows that were not sampled)"
        listed[-1] = listed[-1]._replace(message=more)
    yield from listed
