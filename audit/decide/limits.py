"""What an audit cannot tell: no verdict at all, or defects that it has no power to detect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.decide.sequential import Ending
from asr_gate.audit.decide.verdict import Verdict
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.policy import ControlsPolicy, DecisionPolicy, Policy
from asr_gate.audit.records.controls import KINDS, THRESHOLD_KINDS, Kind
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.pairing import Pairing
from asr_gate.audit.records.power import MIN_PLANTED, Calibration
from asr_gate.corpus.text.scripts import script_names
from asr_gate.corpus.text.similar import bare

NAMES: dict[Kind, str] = {
    "swapped": "transcripts of other utterances",
    "inserted": "inserted words",
    "doubled": "doubled words",
    "replaced": "replaced words",
    "removed": "missing words",
    "cut": "cut transcripts",
    "exchanged": "words that changed places",
    "phrase": "replaced phrases",
    "overlap": "words of other transcripts",
    "shortened": "cut recordings",
}

MOST = 0.5
"""Share of sampled rows with texts or words of others, from which on that alone is STOP."""
HEARS = 0.2
"""Share of searched rows whose text is found elsewhere, for the aligner to hear: far above the rate
at which texts are found that are not there (controls.false_alarm)."""

OTHER_ALPHABET = (
    "Audit again with an aligner for this language; nothing is said against the transcripts."
)


WRONG_ROWS = (
    "Put the texts where they are said (asr clean --repair), or correct the manifest, and audit it "
    "again."
)


def no_verdict(
    sample: JudgedSample, populations: Mapping[str, int], policy: Policy, model: ModelInfo
) -> Verdict | None:
    """The verdict where the controls cannot decide; None: they can.

    Args:
        sample: the sampled utterances, judged.
        populations: utterances of the corpus, by domain.
        policy: what an audit must show.
        model: the aligner.
    """
    return (
        _other_alphabet(sample.rows, policy, model)
        or _cannot_tell(sample, populations, policy.decision, model)
        or _nothing_to_exchange(sample, policy)
        or _too_few(len(sample.rows), sum(populations.values()), policy.decision)
    )


def _other_alphabet(rows: Sequence[Judged], policy: Policy, model: ModelInfo) -> Verdict | None:
    """No verdict where the aligner lacks the letters of too many transcripts."""
    written = [row.measured for row in rows if row.measured.letters]
    outside = [row for row in written if row.unknown > policy.quality.max_unknown * row.letters]
    if 100 * len(outside) <= policy.decision.max_unalignable * len(written):
        return None
    unknown = sum(row.unknown for row in written) / sum(row.letters for row in written)
    scripts = " and ".join(script_names(row.text for row in outside))
    alphabet = " and ".join(script_names(["".join(t for t in model.tokens if len(t) == 1)]))
    language = next((row.lang for row in outside if row.lang), "CODE")
    return Verdict(
        "NO_VERDICT",
        [
            f"{model.name} cannot read these transcripts: its alphabet is {alphabet or 'empty'}, "
            f"and {unknown:.0%} of the letters lie outside it, mostly {scripts or 'marks'} "
            f"({len(outside)} of {len(written)} sampled rows, above "
            f"{policy.decision.max_unalignable:g} % (decision.max_unalignable)). Choose an aligner "
            f"that knows them: --aligner mms --language {language}, or hf:ID"
        ],
        OTHER_ALPHABET,
    )


def untold_percentage(untold: Mapping[str, str], populations: Mapping[str, int]) -> float:
    """Percent of the corpus in domains of which nothing can be told."""
    return 100 * sum(populations[domain] for domain in untold) / sum(populations.values())


def _cannot_tell(
    sample: JudgedSample,
    populations: Mapping[str, int],
    policy: DecisionPolicy,
    model: ModelInfo,
) -> Verdict | None:
    """No verdict where of too much of the corpus nothing can be told.

    Where it is known of most rows what they say instead, no control has to tell that they are so.
    """
    untold, pairing = sample.untold, sample.pairing
    percent = untold_percentage(untold, populations)
    if not untold or (percent <= policy.untold_no_verdict_above and len(untold) < len(populations)):
        return None
    astray = {one.id for one in pairing.found} | {one.id for one in pairing.moved}
    if len(astray) >= MOST * len(sample.rows):
        return Verdict(
            "STOP",
            [f"{len(astray)} of {len(sample.rows)} sampled rows have a text or words of another"],
            WRONG_ROWS,
        )
    each = "; ".join(f"domain {domain}: {reason}" for domain, reason in untold.items())
    return Verdict(
        "NO_VERDICT",
        [
            f"{model.name} cannot tell right transcripts from wrong ones in {percent:.0f} % of the "
            f"corpus, above {policy.untold_no_verdict_above:g} % "
            f"(decision.untold_no_verdict_above): {each}. {_which_of_the_two(pairing, model)}"
        ],
        WRONG_ROWS if _hears(pairing) else "",
    )


def _nothing_to_exchange(sample: JudgedSample, policy: Policy) -> Verdict | None:
    """No verdict where texts are so alike that none could be planted in another row."""
    rows = len(sample.rows)
    planted = sample.calibration.total("swapped") is not None
    if planted or not policy.controls.per_kind or rows < MIN_PLANTED:
        return None
    texts = len({bare(row.measured.text) for row in sample.rows})
    if 2 * texts > rows:
        return None
    return Verdict(
        "NO_VERDICT",
        [
            f"{rows} sampled rows have {texts} different {'text' if texts == 1 else 'texts'}: none "
            "can be planted in another row to see whether a wrong one would be found. Either the "
            "manifest gives one text to many rows, or these recordings need no audit of their texts"
        ],
        "Look at the texts of the manifest.",
    )


def _hears(pairing: Pairing) -> bool:
    """Whether the aligner finds texts that are said, whoever has them."""
    found = sum(one.ratio is not None for one in pairing.found)
    return found >= HEARS * max(1, pairing.searched)


def _which_of_the_two(pairing: Pairing, model: ModelInfo) -> str:
    """Whether the aligner cannot hear this speech, or the transcripts are wrong."""
    found = sum(one.ratio is not None for one in pairing.found)
    other = "--aligner mms --language CODE, or hf:ID"
    if _hears(pairing):
        return (
            f"It hears this speech, for {found} of the {pairing.searched} rows that were searched "
            "say a text that stands in another row: most transcripts are wrong"
        )
    if not pairing.searched:
        return (
            f"Either most transcripts are wrong, or the model (language '{model.language}') does "
            f"not suit this speech; one of its own language and sound may do better: {other}"
        )
    return (
        f"In {found} of the {pairing.searched} rows that were searched one text of the corpus "
        f"stands out: the model (language '{model.language}') does not hear this speech, and one "
        f"of its own language and sound may do better ({other}); or what is said stands in no row "
        "(--texts FILE searches more)"
    )


def _too_few(sampled: int, population: int, policy: DecisionPolicy) -> Verdict | None:
    """No verdict where the sample is smaller than the policy asks, and not everything."""
    if sampled >= min(policy.min_sampled, population):
        return None
    return Verdict(
        "NO_VERDICT",
        [
            f"{sampled} of {population} utterances were sampled, under {policy.min_sampled} "
            "(decision.min_sampled); sample more with --fraction, or --all"
        ],
        "Sample more of the corpus: --fraction, or --all.",
    )


def why_it_ended(ending: Ending, sampled: int, policy: DecisionPolicy) -> str:
    """Why an audit that samples until the decision is settled took so many and no more."""
    last = ending.last
    level = f"at {policy.confidence:.0%} (decision.confidence)"
    if last.settled:
        return f"stopped after {sampled} of at most {ending.budget} utterances: settled {level}"
    whole = "where the budget ends" if sampled >= ending.budget else "where no more may be sampled"
    what = (
        f"domain {', '.join(last.open)} leaves it open"
        if last.open
        else f"the corpus may hold {100 * last.overall.low:.1f} to {100 * last.overall.high:.1f} %"
    )
    return f"not settled {level} after {sampled} utterances, {whole}: {what}"


def unseen_cuts(
    calibration: Calibration, populations: Mapping[str, int], policy: DecisionPolicy
) -> list[str]:
    """Why it is no PROCEED where cut transcripts, which exclude a row, are not detected.

    Where nearly all transcripts are cut, a planted cut looks like the others and is not found.

    Args:
        calibration: what the controls showed.
        populations: utterances of each domain that can be judged.
        policy: the share of the corpus of which that may be so.
    """
    domains = [d for d in populations if "cut" in calibration.underpowered.get(d, ())]
    percent = 100 * sum(populations[d] for d in domains) / max(1, sum(populations.values()))
    if percent <= policy.untold_caution_above:
        return []
    return [
        f"planted cuts are not detected in {percent:.0f} % of it: most transcripts there may be "
        "cut, or the aligner does not hear their ends; listen to a few rows to the end"
    ]


def undetectable(
    calibration: Calibration, policy: ControlsPolicy, in_force: Mapping[str, frozenset[str]]
) -> list[str]:
    """What this audit cannot detect, a sentence each.

    Args:
        calibration: what the controls showed.
        policy: the floors of the power.
        in_force: by domain, the absolute thresholds in force.
    """
    return [*_underpowered(calibration, policy), *_not_in_force(in_force)]


def _underpowered(calibration: Calibration, policy: ControlsPolicy) -> Iterator[str]:
    for kind in KINDS:
        if kind == "swapped":
            continue
        domains = [domain for domain, kinds in calibration.underpowered.items() if kind in kinds]
        if domains and calibration.total(kind) is not None:
            found = [calibration.power[domain][kind] for domain in domains]
            sets = kind in THRESHOLD_KINDS
            yield (
                f"cannot detect {NAMES[kind]}{_where(domains, len(calibration.underpowered))}: "
                f"{sum(p.detected for p in found)} of {sum(p.planted for p in found)} planted ones "
                f"were found, under {policy.min_power:.0%} (controls.min_power)"
                + ("; findings of this kind are listed and do not count" if sets else "")
            )
    few = [
        k for k in THRESHOLD_KINDS if (t := calibration.total(k)) is None or t.planted < MIN_PLANTED
    ]
    if few and not policy.per_kind:
        yield "no controls were planted (controls.per_kind is 0): the detection power is not known"
    elif few:
        yield (
            f"too few utterances to plant {', '.join(NAMES[kind] for kind in few)}: the power to "
            "detect them is not known"
        )


def _not_in_force(in_force: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for name in ("coverage", "confidence"):
        domains = [domain for domain, names in in_force.items() if name not in names]
        if domains:
            where = _where(domains, len(in_force))
            yield (
                f"quality.min_{name} is not in force{where}: too many utterances miss it whose "
                "texts look right by the controls (controls.absolute_false_alarm)"
            )


def _where(domains: list[str], all_of_them: int) -> str:
    return "" if len(domains) == all_of_them else f" in {', '.join(domains)}"
