"""What the controls say about the audit itself, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.controls.calibrate import MIN_PLANTED, Sight
from asr_gate.audit.controls.kinds import KINDS, Kind
from asr_gate.audit.gate.policy import ControlsPolicy, DecisionPolicy
from asr_gate.audit.gate.sequential import Ended
from asr_gate.audit.gate.verdict import Verdict

NAMES: dict[Kind, str] = {
    "swapped": "transcripts of other utterances",
    "inserted": "inserted words",
    "doubled": "doubled words",
    "replaced": "replaced words",
    "removed": "missing words",
    "cut": "cut transcripts",
}


def no_verdict(sight: Sight, policy: ControlsPolicy, model: ModelInfo) -> Verdict | None:
    """The verdict where the aligner cannot tell a right transcript from a wrong one; None: it can.

    Args:
        sight: of the controls.
        policy: the floor of the power.
        model: that aligned.
    """
    unfit = {
        domain: power
        for domain, kinds in sight.power.items()
        if "swapped" in sight.blind[domain] and (power := kinds.get("swapped")) is not None
    }
    if not unfit:
        return None
    found = ", ".join(
        f"{domain} {power.detected} of {power.planted}" for domain, power in unfit.items()
    )
    return Verdict(
        "NO_VERDICT",
        [
            f"{model.name} cannot tell right transcripts from wrong ones here: of those planted "
            f"from other utterances it found too few ({found}; controls.min_power_swapped is "
            f"{policy.min_power_swapped:.0%}). Either most transcripts are wrong, or the model "
            f"(language '{model.language}') does not suit this speech; one of its own language and "
            "sound may do better: --aligner mms --language CODE, or hf:ID"
        ],
    )


def too_few(heard: int, population: int, policy: DecisionPolicy) -> Verdict | None:
    """No verdict where less was heard than the policy asks, and not everything."""
    if heard >= min(policy.min_heard, population):
        return None
    return Verdict(
        "NO_VERDICT",
        [
            f"{heard} of {population} utterances were heard, under {policy.min_heard} "
            "(decision.min_heard); hear more with --fraction, or --all"
        ],
        "Hear more of the corpus: --fraction, or --all.",
    )


def why_it_ended(ended: Ended, heard: int, policy: DecisionPolicy) -> str:
    """Why an audit that hears until the decision is settled heard so much and no more."""
    last = ended.last
    level = f"at {policy.confidence:.0%} (decision.confidence)"
    if last.settled:
        return f"stopped after {heard} of at most {ended.budget} utterances: settled {level}"
    whole = "where the budget ends" if heard >= ended.budget else "where no more may be heard"
    what = (
        f"domain {', '.join(last.open)} leaves it open"
        if last.open
        else f"the corpus may hold {100 * last.overall.low:.1f} to {100 * last.overall.high:.1f} %"
    )
    return f"not settled {level} after {heard} utterances, {whole}: {what}"


def blind_spots(
    sight: Sight, policy: ControlsPolicy, figures: Mapping[str, frozenset[str]]
) -> list[str]:
    """What this audit could not see, a sentence each."""
    return [*_blind(sight, policy), *_figures(figures)]


def _blind(sight: Sight, policy: ControlsPolicy) -> Iterator[str]:
    for kind in KINDS:
        if kind == "swapped":
            continue
        domains = [domain for domain, blind in sight.blind.items() if kind in blind]
        total = sight.total(kind)
        if domains and total is not None:
            found = [sight.power[domain][kind] for domain in domains]
            yield (
                f"blind to {NAMES[kind]}{_where(domains, len(sight.blind))}: "
                f"{sum(p.detected for p in found)} of {sum(p.planted for p in found)} planted ones "
                f"were found, under {policy.min_power:.0%} (controls.min_power); findings of this "
                "kind are listed and do not count"
            )
    few = [k for k in KINDS if (t := sight.total(k)) is None or t.planted < MIN_PLANTED]
    if few and not policy.per_kind:
        yield "no controls were planted (controls.per_kind is 0): what the audit sees is not known"
    elif few:
        yield (
            f"too few utterances to plant {', '.join(NAMES[kind] for kind in few)}: what the audit "
            "sees of them is not known"
        )


def _figures(figures: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for name in ("coverage", "confidence"):
        domains = [domain for domain, counting in figures.items() if name not in counting]
        if domains:
            where = _where(domains, len(figures))
            yield (
                f"quality.min_{name} does not count{where}: too many utterances miss it whose "
                "texts the controls say are right (controls.figure_false_alarm)"
            )


def _where(domains: list[str], all_of_them: int) -> str:
    return "" if len(domains) == all_of_them else f" in {', '.join(domains)}"
