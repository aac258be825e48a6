"""The verdict: a decision under a policy, with the reasons that led to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_gate.audit.decide.estimate import Interval
from asr_gate.audit.policy import DecisionPolicy
from asr_gate.audit.records.power import MIN_PLANTED
from asr_gate.audit.records.report import Decision

RECOMMENDATIONS: dict[Decision, str] = {
    "PROCEED": "Train on this corpus without the rows that the audit excludes.",
    "CAUTION": "Look at the findings first; train only if you accept them (--accept-caution).",
    "NO_VERDICT": "Listen to a few rows. If their texts are right, use a better aligner.",
    "STOP": "Do not train on this corpus: fix the transcripts, then audit again.",
}

SKIPPED = (
    "Do not train on this corpus: fix the rows that could not be audited (the report lists each "
    "with its reason), then audit again."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and why."""

    decision: Decision
    reasons: list[str]
    recommendation: str = ""
    """What to do; empty: what the decision says."""


def decide(
    policy: DecisionPolicy,
    overall: Interval,
    domains: Mapping[str, Interval],
    skipped_percentage: float,
    untold: Mapping[str, str] | None = None,
    untold_percentage: float = 0.0,
    *,
    unreadable: int = 0,
    power_known: bool = True,
    unseen: Sequence[str] = (),
) -> Verdict:
    """Decide on the estimated share of low-quality utterances.

    Where the interval reaches beyond the other threshold it is CAUTION, so that PROCEED on a corpus
    above `stop_above`, or STOP on one below `proceed_below`, is as rare as the confidence says.

    Args:
        policy: thresholds, and whether the point or the interval's upper bound decides.
        overall: share in the corpus, less the domains of which nothing can be told.
        domains: share in each of the others.
        skipped_percentage: rows that could not be audited, in percent of all rows.
        unreadable: sampled rows of which the audio could not be read; they are among them.
        untold: domains of which nothing can be told, each with the reason.
        untold_percentage: utterances in them, in percent of the corpus.
        power_known: whether enough defects were planted to measure the detection power.
        unseen: what is wrong, or may be, with rows that no finding excludes.
    """
    reasons: list[str] = []
    percent = _deciding(policy, overall)
    whole = "the domains that can be judged" if untold else "the corpus"
    what = f"{percent:.1f} % of {whole} is of low quality{_basis(policy)}"
    level = f"at {policy.confidence:.0%} (decision.confidence)"
    decision: Decision
    if percent > policy.stop_above:
        decision = "STOP"
        reasons.append(f"{what}: above {policy.stop_above:g} % (decision.stop_above)")
        if 100 * overall.low < policy.proceed_below:
            decision = "CAUTION"
            reasons.append(
                f"the sample is too small to stop on: it may be {100 * overall.low:.1f} % {level}, "
                f"below {policy.proceed_below:g} % (decision.proceed_below)"
            )
    elif percent < policy.proceed_below:
        decision = "PROCEED"
        reasons.append(f"{what}: below {policy.proceed_below:g} % (decision.proceed_below)")
        if not power_known:
            decision = "CAUTION"
            reasons.append(
                "the detection power is not known, so nobody knows what was not found: it takes "
                f"{MIN_PLANTED} utterances or more with planted defects to measure it"
            )
        elif 100 * overall.high > policy.stop_above:
            decision = "CAUTION"
            reasons.append(
                f"the sample is too small to proceed on: it may be {100 * overall.high:.1f} % "
                f"{level}, above {policy.stop_above:g} % (decision.stop_above)"
            )
    else:
        decision = "CAUTION"
        reasons.append(
            f"{what}: between {policy.proceed_below:g} % and {policy.stop_above:g} % "
            "(decision.proceed_below, decision.stop_above)"
        )
    cautions = []
    for domain, interval in domains.items():
        share = _deciding(policy, interval)
        limit = policy.domain_limit(domain)
        if share > limit:
            cautions.append(
                f"domain {domain}: {share:.1f} % is of low quality{_basis(policy)}: above "
                f"{limit:g} % ({policy.domain_line(domain)})"
            )
    if untold and untold_percentage > policy.untold_caution_above:
        cautions += [f"cannot tell in domain {name}: {why}" for name, why in untold.items()]
        cautions.append(
            f"{untold_percentage:.1f} % of the corpus is not judged: above "
            f"{policy.untold_caution_above:g} % (decision.untold_caution_above)"
        )
    which = f" (the audio of {unreadable} sampled rows cannot be read)" if unreadable else ""
    skipped = f"{skipped_percentage:.1f} % of the rows could not be audited{which}: above"
    recommendation = ""
    if skipped_percentage > policy.skipped_stop_above:
        if decision != "STOP":
            recommendation = SKIPPED  # the transcripts are not what is wrong
        decision = "STOP"
        reasons.insert(
            0, f"{skipped} {policy.skipped_stop_above:g} % (decision.skipped_stop_above)"
        )
    elif skipped_percentage > policy.skipped_caution_above:
        most = f"{policy.skipped_caution_above:g} % (decision.skipped_caution_above)"
        reasons.insert(0, f"{skipped} {most}")
        decision = "CAUTION" if decision == "PROCEED" else decision
    cautions += unseen
    if cautions and decision == "PROCEED":
        decision = "CAUTION"
    return Verdict(decision, reasons + cautions, recommendation)


def _deciding(policy: DecisionPolicy, interval: Interval) -> float:
    return 100 * (interval.high if policy.decide_by == "bound" else interval.rate)


def _basis(policy: DecisionPolicy) -> str:
    return " at the upper bound" if policy.decide_by == "bound" else ""
