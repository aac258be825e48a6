"""From controls to thresholds and detection power.

Evidence counts as a finding above a threshold that the data itself sets: of the utterances whose
transcripts are right, the share that passes it (the false alarms) is the policy's. Which are right
nobody knows. The share of defects among them is estimated by how many lie beyond the planted ones'
median (a mixture with one known component; Patra and Sen, 2016), and so many of the highest are set
aside. Where there are few utterances, the threshold is extrapolated from the bulk of the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist
from types import MappingProxyType

import numpy as np

from asr_gate.audit.controls.false_alarms import LIKE_PLANTED
from asr_gate.audit.controls.wilson import wilson
from asr_gate.audit.records.controls import (
    EVIDENCE,
    FOUND_BY,
    KINDS,
    THRESHOLD_KINDS,
    Evidence,
    Kind,
)
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import MIN_PLANTED, Calibration, Power

MAX_DEFECTS = 0.5
"""Most of the data that is taken for defects; where more looks like them, the evidence is weak."""
MIN_ALARMS = 5
"""Right transcripts that must pass a threshold for its rate to be counted."""
FEW_DEFECTS = 0.02
"""Share of defects up to which the counted threshold is taken as it is."""
SEPARATE = 0.8
"""Planted defects that must be found for an estimated share of defects to be believed."""
NEARLY_ALL = 0.98
"""Planted defects that a threshold may rise below."""
ROOM = 0.01
"""Share of the planted defects that a threshold may rise by where it leaves more of them below."""
MOST = 0.95
"""Planted defects above the room between right transcripts and defects."""
MIN_RIGHT = 10
LEAST_RIGHT = 0.1
"""Number and share of the utterances that must look right for a threshold to rest on them alone."""
CLEAR = 2.0
"""How many times as far as their tail reaches the planted defects must then lie from their middle.
"""
SURELY = 2.0
"""Standard deviations by which more pass than defects explain, for a threshold to be raised."""
SHORT = 10
"""Letters of a domain's median text under which its right texts may cost as much as wrong ones."""
USUAL: dict[Evidence, float] = {
    "mismatch": 0.8,
    "deletion": 2.5,
    "substitution": 1.5,
    "insertion": 12.0,
    "edge": 12.0,
}
"""Thresholds where too little is planted to set any: those that English speech set for a good
English model."""
LEAST_THRESHOLD: dict[Evidence, float] = {
    "mismatch": 0.1,
    "deletion": 0.0,
    "substitution": 0.0,
    "insertion": 3.0,
    "edge": 3.0,
}
"""Below it the evidence speaks for the transcript, whatever the data's own rates; or is worth
little, as with speech, for which there is always some: 3 nats are odds of 20 to 1."""


def calibrate(
    rows: Sequence[Measured],
    *,
    false_alarm: float,
    floors: Mapping[Kind, float],
    found: Mapping[str, float] = MappingProxyType({}),
) -> Calibration:
    """Thresholds, probabilities and power from the audited utterances and their controls.

    Each domain has thresholds of its own where it is large enough to show the false-alarm rate;
    smaller ones share those of all of them together. Since a text that is wrong as a whole excludes
    its row, that threshold is raised where a domain's own rows say so.

    Args:
        rows: the audited utterances.
        false_alarm: share of right transcripts that may pass a threshold.
        floors: power under which a kind counts as underpowered.
        found: mismatch of the right text, by id of an utterance whose right text is another row's:
            it shows what right texts cost where the utterance's own is wrong.
    """
    speaking = [row for row in rows if row.speech_seconds]
    tokens_per_second = (
        float(np.median([r.tokens / r.speech_seconds for r in speaking])) if speaking else 0.0
    )
    domains = sorted({row.domain for row in rows})
    thresholds: dict[str, dict[Evidence, float]] = {domain: {} for domain in domains}
    power: dict[str, dict[Kind, Power]] = {domain: {} for domain in domains}
    slopes: dict[Evidence, float] = {}
    calibration = Calibration(thresholds, slopes, power, tokens_per_second=tokens_per_second)
    recognised: list[Measured] = []
    missed: dict[str, Counter[Kind]] = {domain: Counter() for domain in domains}
    for row in speaking:
        if calibration.recognises_enough(row):
            recognised.append(row)
        else:  # nothing is found where nothing is recognised
            missed[row.domain].update(control.kind for control in row.controls)
    for evidence in EVIDENCE:
        everywhere = _Values(recognised, evidence, found)
        pooled = everywhere.threshold(false_alarm)
        slopes[evidence] = everywhere.slope(pooled)
        for domain in domains:
            here = [row for row in recognised if row.domain == domain]
            values = _Values(here, evidence, found)
            own = values.threshold(false_alarm) if values.enough(false_alarm) else pooled
            if evidence == "mismatch":
                own = values.raised(own, false_alarm)
            thresholds[domain][evidence] = own
            power[domain] |= values.power(own, missed[domain])
        if evidence == "mismatch":
            # Nothing single can be told of a text that is another's altogether.
            recognised = [
                row
                for row in recognised
                if row.mismatch is None or row.mismatch <= thresholds[row.domain]["mismatch"]
            ]
    # Of kinds that several sorts of evidence find, those count whose own kinds they find.
    calibration = _with_underpowered(calibration, floors)
    for domain in domains:
        here = [row for row in recognised if row.domain == domain]
        counting = {
            evidence: threshold
            for evidence, threshold in thresholds[domain].items()
            if calibration.can_detect(domain, evidence)
        }
        power[domain] |= _power_of_several(here, counting, missed[domain])
    return _with_underpowered(calibration, floors)


def _with_underpowered(calibration: Calibration, floors: Mapping[Kind, float]) -> Calibration:
    underpowered = {
        domain: frozenset(
            kind
            for kind, here in kinds.items()
            if _is_underpowered(here, calibration.total(kind), floors[kind])
        )
        for domain, kinds in calibration.power.items()
    }
    return replace(calibration, underpowered=underpowered)


def _power_of_several(
    rows: Sequence[Measured], thresholds: Mapping[Evidence, float], missed: Counter[Kind]
) -> dict[Kind, Power]:
    """As `_Values.power`, of the kinds that set no threshold."""
    found = {}
    for kind in KINDS:
        if kind in THRESHOLD_KINDS:
            continue
        planted = [c for row in rows for c in row.controls if c.kind == kind]
        flagged = sum(
            any(
                (value := row.evidence(one)) is not None and value > thresholds[one]
                for one in FOUND_BY[kind]
                if one in thresholds
            )
            for row in rows
        )
        if count := len(planted) + missed[kind]:
            detected = sum(control.passes(thresholds) for control in planted)
            found[kind] = Power(count, detected, flagged, len(rows))
    return found


def _is_underpowered(here: Power, total: Power | None, floor: float) -> bool:
    """Whether a kind is found too seldom in a domain; where few were planted, chance must not
    condemn or clear it, and all domains together decide.
    """
    low, high = wilson(here.detected, here.planted, 0.95)
    if high < floor:
        return here.planted >= MIN_PLANTED
    if low >= floor or total is None:
        return False
    return total.planted >= MIN_PLANTED and total.detected < floor * total.planted


class _Values:
    """Evidence of one sort, in utterances as they are and in planted defects."""

    def __init__(
        self, rows: Sequence[Measured], evidence: Evidence, found: Mapping[str, float]
    ) -> None:
        self.evidence = evidence
        values = [(row.id, row.evidence(evidence)) for row in rows]
        self.written = np.array([value for _, value in values if value is not None])
        """Of the texts as they are."""
        right = {identity: value for identity, value in values if value is not None}
        if evidence == "mismatch":
            whole = {row.id for row in rows if (row.evidence("edge") or 0.0) <= USUAL["edge"]}
            if len(whole) >= MIN_PLANTED:
                right = {identity: right[identity] for identity in right if identity in whole}
            right |= {row.id: found[row.id] for row in rows if row.id in found}
        self.natural = np.array(list(right.values()))
        """The same, without texts that lack something at an edge, which are no right ones and not
        like swapped ones either; with the right text where it was found in another row."""
        self.planted = {
            kind: np.array([c.value for row in rows for c in row.controls if c.kind == kind])
            for kind in EVIDENCE[evidence]
        }
        self.all_planted = np.concatenate(list(self.planted.values()))
        self.short = bool(rows) and float(np.median([row.letters for row in rows])) < SHORT

    def enough(self, false_alarm: float) -> bool:
        """Whether there is enough for a threshold of its own."""
        few = min(len(values) for values in self.planted.values())
        return few >= MIN_PLANTED and len(self.natural) * false_alarm >= MIN_ALARMS

    def threshold(self, false_alarm: float) -> float:
        """Evidence that right transcripts pass at most at the given rate.

        Where that leaves room below nearly all planted defects, halfway into the room.
        """
        if len(self.all_planted) < MIN_PLANTED or not len(self.natural):
            return USUAL[self.evidence]
        between = self._between(false_alarm)
        if between is not None:
            return max(LEAST_THRESHOLD[self.evidence], between)
        # Half of all defects like the planted ones lie beyond their median, and nine tenths beyond
        # their lowest tenth. Where these would be most of all, they are right transcripts.
        defects = 2 * float((self.natural > np.median(self.all_planted)).mean())
        low = float((self.natural > np.quantile(self.all_planted, 0.1)).mean()) / 0.9
        weak = max(defects, low) > MAX_DEFECTS
        if weak:
            defects = 0.0
        least = self._least(false_alarm, defects, weak)
        if defects and (self.all_planted > least).mean() < SEPARATE:
            # What looks like defects is then as likely the aligner's own weakness.
            least = self._least(false_alarm, 0.0, weak)
        # Up to where a few more planted ones would be lost, a higher threshold costs little.
        lost = 0.0 if weak else float((self.all_planted <= least).mean())
        room = float(np.quantile(self.all_planted, min(1.0, max(lost + ROOM, 1 - NEARLY_ALL))))
        return max(least, (least + room) / 2)

    def raised(self, threshold: float, false_alarm: float) -> float:
        """A threshold of all domains, raised where right transcripts here reach beyond it.

        Until no more utterances pass than planted defects explain. Of texts of a word or two, right
        ones may cost as much as wrong ones, and a share of defects cannot be told from that: there
        all utterances count as right.
        """
        if min(len(self.all_planted), len(self.natural)) < MIN_PLANTED:
            return threshold
        if self.short:
            return max(threshold, self._least(false_alarm, 0.0, weak=True))
        beyond = np.sort(self.natural[self.natural > threshold]).tolist()
        return next((t for t in (threshold, *beyond) if self._explained(t, SURELY)), threshold)

    def _between(self, false_alarm: float) -> float | None:
        """Halfway between the tail of the utterances that look right and most planted ones.

        Those look right that lie below nearly all planted ones. How many lie above does not matter
        then: most utterances may have the same defect. None where there is no clear room between
        the two: right transcripts may then reach up to the planted ones, and where what is below
        is only a part of them, its tail reaches that far itself.
        """
        least, planted = np.quantile(self.all_planted, (1 - NEARLY_ALL, 1 - MOST)).tolist()
        right = self.natural[self.natural < least]
        if len(right) < max(MIN_RIGHT, LEAST_RIGHT * len(self.natural)):
            return None
        middle, upper = np.quantile(right, (0.5, 0.9)).tolist()
        z, z_upper = map(NormalDist().inv_cdf, (1 - false_alarm, 0.9))
        tail = middle + (upper - middle) * z / z_upper
        if len(right) * false_alarm >= MIN_ALARMS:
            tail = max(tail, float(np.quantile(right, 1 - false_alarm)))
        if middle + CLEAR * (tail - middle) >= planted:
            return None
        threshold = float(tail + planted) / 2
        return threshold if self._explained(threshold) else None

    def _explained(self, threshold: float, deviations: float = 1.0) -> bool:
        """Whether no more utterances pass a threshold than there are defects like the planted ones.

        Where more do, right ones reach up to the planted ones, and what lies below is a part of
        them. The share of defects is estimated as in `false_alarms`, and off by so many of its
        standard deviations.
        """
        defects = max(
            float((self.natural > np.quantile(self.all_planted, at)).sum()) / (1 - at)
            for at in LIKE_PLANTED
        )
        expected = defects * float((self.all_planted > threshold).mean())
        return bool((self.natural > threshold).sum() <= expected + deviations * defects**0.5 + 1)

    def _least(self, false_alarm: float, defects: float, weak: bool) -> float:
        """The least threshold, given the share of defects among the utterances as they are.

        With weak evidence right transcripts reach up to the planted defects themselves.
        """
        least = self._extrapolated(false_alarm, defects, weak)
        if len(self.natural) * false_alarm >= MIN_ALARMS:
            counted = self._right(1 - false_alarm, defects)
            # The share of defects is off by a few, which then are counted as right.
            least = counted if defects < FEW_DEFECTS else min(counted, least)
        return max(LEAST_THRESHOLD[self.evidence], least)

    def _right(self, share: float, defects: float) -> float:
        """Quantile of the right transcripts' evidence: all but the highest, the defects."""
        return float(np.quantile(self.natural, share * (1 - defects)))

    def _extrapolated(self, false_alarm: float, defects: float, weak: bool) -> float:
        """From too few to count: a normal tail through two quantiles of the right transcripts.

        Through the median and the 90th percentile. Evidence for a transcript knows no bounds, which
        draws the median far down; so if the tail through the 75th and the 90th ends lower, halfway
        to that, as it rests on few. Where defects may reach down to the 90th, through the median
        and the 75th; where even that looks like one, the tail is the mirror of the lower one. With
        weak evidence it is always the median and the 90th: so far down right transcripts reach, and
        nothing tells them from defects.
        """
        low, middle, quarter, upper = (self._right(q, defects) for q in (0.1, 0.5, 0.75, 0.9))
        limit = (middle + float(np.median(self.all_planted))) / 2
        z, z_quarter, z_upper = map(NormalDist().inv_cdf, (1 - false_alarm, 0.75, 0.9))
        far = middle + (upper - middle) * z / z_upper
        if weak:
            return far
        if upper < limit:
            near = upper + (upper - quarter) * (z - z_upper) / (z_upper - z_quarter)
            return min(far, (far + near) / 2)
        if quarter < limit:
            return middle + (quarter - middle) * z / z_quarter
        return middle + (middle - low) * z / z_upper

    def power(self, threshold: float, missed: Counter[Kind]) -> dict[Kind, Power]:
        """How many planted and natural utterances pass, by kind; `missed` were planted besides."""
        flagged = int((self.written > threshold).sum())
        return {
            kind: Power(count, int((values > threshold).sum()), flagged, len(self.written))
            for kind, values in self.planted.items()
            if (count := len(values) + missed[kind])
        }

    def slope(self, threshold: float) -> float:
        """Steepness of the logistic curve: of two normal groups of like spread, their distance over
        the variance; robustly, of the medians and of the deviations from them.

        The one group is what is planted, the other what lies under the threshold.
        """
        right = self.natural[self.natural <= threshold]
        if len(self.all_planted) < MIN_PLANTED or not len(right):
            return 1.0
        groups = (self.all_planted, right)
        apart = float(np.median(groups[0]) - np.median(groups[1]))
        away = np.concatenate([np.abs(values - np.median(values)) for values in groups])
        spread = 1.4826 * float(np.median(away))
        # Never so steep that all probabilities are the same 0 or 1.
        return max(1e-3, min(apart / max(spread, 1e-6) ** 2, 20 / max(apart, 1e-6)))
