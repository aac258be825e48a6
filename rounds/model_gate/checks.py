"""What a suite asks of a model, held against what it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.settings_file import line_of
from asr_gate.rounds.model_gate.result import Check, CheckOutcome, Regression
from asr_gate.rounds.model_gate.suite import DomainLimits, LoadedSuite
from asr_gate.train.evaluation.compare import Comparison, rows
from asr_gate.train.evaluation.paired_bootstrap import Gain, Group, gain


def check_model(
    suite: LoadedSuite,
    comparison: Comparison,
    regressions: Sequence[Regression],
    *,
    unfinished: int,
    empty: int,
) -> list[Check]:
    """Every check of a suite.

    Args:
        suite: what is asked.
        comparison: of the candidate (second side) with the baseline.
        regressions: the candidate on the suite's regression sets.
        unfinished: transcripts of the candidate that were cut off.
        empty: its transcripts without a word.

    Raises:
        UserError: the suite has limits for a domain that the data does not have.
    """
    asked = suite.content
    for name in asked.domains:
        if name not in comparison.domains:
            there = ", ".join(comparison.domains)
            raise UserError(
                f"{line_of(suite.path, 'domains', name)}: domains.{name}: the data has no such "
                f"domain; there are {there}"
            )
    pairs = [(one.a, one.b) for one in comparison.utterances]
    found = gain(pairs, comparison.confidence, comparison.seed, comparison.least)
    many = len(pairs)
    return [
        _usable(comparison),
        _gain(found, asked.gain.wer, comparison),
        *(_worse(name, group, comparison) for name, group in rows(comparison)),
        *_limits("overall", comparison.overall, asked.limits),
        *(
            check
            for name, limits in asked.domains.items()
            for check in _limits(name, comparison.domains[name], limits)
        ),
        _share("unfinished", unfinished, many, asked.limits.unfinished),
        _share("empty", empty, many, asked.limits.empty),
        *map(_regression, regressions),
    ]


def _usable(comparison: Comparison) -> Check:
    wer = comparison.overall.wer
    says = f"WER {_percent(wer.b)}, the baseline {_percent(wer.a)}"
    outcome: CheckOutcome = "fail" if wer.b >= 1 else "pass"
    if "overall" in comparison.useless:
        says += ": both recognise nothing, so that nothing is told"
        outcome = "no decision"
    return Check(group="usable", name="overall", outcome=outcome, says=says, value=wer.b, limit=1)


def _gain(found: Gain, required: float, comparison: Comparison) -> Check:
    says = f"WER lower by {_percent(found.share)} of the baseline's"
    outcome: CheckOutcome = "no decision"
    if found.low is None or found.high is None:
        says += f"; too few utterances for an interval (fewer than {comparison.least})"
    else:
        level = f"{100 * comparison.confidence:g} %"
        says += f" ({level}: {_percent(found.low)} to {_percent(found.high)}); "
        if found.low >= required:
            outcome = "pass"
            says += f"at least {_percent(required)} is shown"
        elif found.high < required:
            outcome = "fail"
            says += f"{_percent(required)} is asked"
        else:
            says += f"{_percent(required)} is asked and not shown: more rows would tell"
    return Check(
        group="gain", name="overall", outcome=outcome, says=says, value=found.share, limit=required
    )


def _worse(name: str, group: Group, comparison: Comparison) -> Check:
    wer = group.wer
    says = f"WER {_percent(wer.a)} to {_percent(wer.b)}"
    outcome: CheckOutcome = "fail" if group.worse else "pass"
    if wer.low is None or wer.high is None:
        says += f"; {group.utterances} utterances are too few to tell"
        outcome = "skipped"
    elif name in comparison.useless and not group.worse:
        says += "; both recognise nothing"
        outcome = "skipped"
    else:
        says += f" ({100 * wer.low:+.2f} to {100 * wer.high:+.2f} points)"
    return Check(
        group="worse", name=name, outcome=outcome, says=says, value=wer.difference, limit=0
    )


def _limits(name: str, group: Group, limits: DomainLimits) -> Iterator[Check]:
    for rate, found, limit in (("wer", group.wer.b, limits.wer), ("cer", group.cer.b, limits.cer)):
        if limit is not None:
            yield _limit(f"{name} {rate}", f"{rate.upper()} {_percent(found)}", found, limit)


def _share(name: str, count: int, many: int, limit: float) -> Check:
    return _limit(f"overall {name}", f"{count} of {many} transcripts", count / many, limit)


def _limit(name: str, says: str, value: float, limit: float) -> Check:
    return Check(
        group="limit",
        name=name,
        outcome="pass" if value <= limit else "fail",
        says=f"{says}, at most {_percent(limit)}",
        value=value,
        limit=limit,
    )


def _regression(one: Regression) -> Check:
    return Check(
        group="regression",
        name=one.name,
        outcome="pass" if one.wer <= one.limit else "fail",
        says=f"WER {_percent(one.wer)}, at most {_percent(one.limit)}; "
        f"{len(one.wrong)} of {one.data.utterances} rows are wrong",
        value=one.wer,
        limit=one.limit,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
