"""What the planted controls showed: thresholds, and the power to detect each kind of defect."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

from asr_gate.audit.records.controls import EVIDENCE, LIKELY, Evidence, Kind
from asr_gate.audit.records.measured import Measured

MIN_PLANTED = 10
"""Fewer planted defects of a kind measure nothing."""
LEAST_TOKENS = 0.3
"""Tokens a second of speech, as a share of the audit's median, under which a model recognises too
little to compare a transcript with. Among clean recordings the least was 0.6; those of which noise
of 10 and 5 dB left too little lay between 0.02 and 0.2."""
ENOUGH_TOKENS = 10
"""Tokens that an utterance must let expect; in a shorter one chance may leave a few out."""


@dataclass(frozen=True, slots=True)
class Power:
    """What one kind of planted defect showed, in one domain or in all."""

    planted: int
    detected: int
    flagged: int
    """Utterances with nothing planted that pass the same threshold: false alarms, and real
    defects."""
    unplanted: int
    """Utterances with nothing planted."""


@dataclass(frozen=True)
class Calibration:
    """Thresholds, probabilities and detection power, measured by controls on the data at hand."""

    thresholds: dict[str, dict[Evidence, float]]
    """By domain."""
    slopes: dict[Evidence, float]
    """Steepness of the logistic curve from evidence to probability, one half at the threshold."""
    power: dict[str, dict[Kind, Power]]
    """By domain; kinds that were planted."""
    underpowered: dict[str, frozenset[Kind]] = field(default_factory=dict)
    """By domain: kinds whose power is below the policy's floor."""
    tokens_per_second: float = 0.0
    """Tokens that the model emits in a second of speech, the median."""

    def total(self, kind: Kind) -> Power | None:
        """One kind over all domains; None: not planted."""
        found = [kinds[kind] for kinds in self.power.values() if kind in kinds]
        if not found:
            return None
        return Power(
            sum(p.planted for p in found),
            sum(p.detected for p in found),
            sum(p.flagged for p in found),
            sum(p.unplanted for p in found),
        )

    def recognises_enough(self, row: Measured) -> bool:
        """Whether the model recognises enough in an utterance to judge its transcript."""
        expected = self.tokens_per_second * row.speech_seconds
        return expected < ENOUGH_TOKENS or row.tokens >= LEAST_TOKENS * expected

    def can_detect(self, domain: str, evidence: Evidence) -> bool:
        """Whether findings by this evidence count in a domain: no kind it finds is underpowered."""
        return not self.underpowered.get(domain, frozenset()) & set(EVIDENCE[evidence])

    def passes(self, domain: str, evidence: Evidence, value: float) -> bool:
        """Whether the evidence passes its threshold."""
        return self.probability(domain, evidence, value) > LIKELY

    def probability(self, domain: str, evidence: Evidence, value: float) -> float:
        """Probability of the defect at this evidence, 0 to 1."""
        away = self.slopes[evidence] * (value - self.thresholds[domain][evidence])
        return 1 / (1 + exp(-min(max(away, -500.0), 500.0)))
