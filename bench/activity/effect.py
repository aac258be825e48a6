"""What each detector of speech activity does to an audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.judge import judge
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import Kind
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.utterance import Utterance
from bench.activity.frames import DETECTORS
from bench.activity.sounds import RATE, Mixture, Sound
from bench.detection.material import Material
from bench.detection.ours import Tally, audit, tally_halves


@dataclass(frozen=True)
class Effect:
    """An audit of right transcripts, with planted defects."""

    tally: Tally
    coverage: tuple[float, float]
    """10th percentile and median over the right transcripts."""
    low: float
    """Share of them under the policy's least coverage."""

    def found(self, kind: Kind) -> float:
        """Share of these planted defects."""
        return self.tally.share_found(kind)

    @property
    def alarms(self) -> float:
        """Share of right transcripts in which any evidence passes."""
        return self.tally.any_alarm / max(1, self.tally.judged)

    @property
    def unheard(self) -> float:
        """Share of recordings in which nothing is searched (A010)."""
        return self.tally.unheard / max(1, self.tally.judged)


def effects(given: Material, policy: Policy) -> dict[Detector, Effect]:
    """One audit for each detector, on the same emissions."""
    found = {}
    for detector in DETECTORS:
        audited, tally = audit(given, 0, detector), Tally()
        tally_halves(audited, policy, tally, 0)
        calibration = calibrate(
            audited.natural,
            false_alarm=policy.controls.false_alarm,
            floors=policy.controls.floors(),
        )
        judged, _ = judge(audited.natural, calibration, given.info.delay)
        coverage = np.array([row.coverage for row in judged])
        low, middle = np.percentile(coverage, [10, 50])
        under = float((coverage < policy.quality.min_coverage).mean())
        found[detector] = Effect(tally, (float(low), float(middle)), under)
    return found


def rendered(
    mixture: Mixture, utterances: Sequence[Utterance], sounds: Sequence[Sound], folder: Path
) -> list[Utterance]:
    """The utterances in a mixture, as files."""
    changed = []
    for number, (utterance, sound) in enumerate(zip(utterances, sounds, strict=True)):
        others = [*sounds[:number], *sounds[number + 1 :]]
        path = folder / f"{number}.wav"
        soundfile.write(path, mixture.mix(sound, utterance.id, others), RATE, subtype="FLOAT")
        changed.append(replace(utterance, audio=path, offset=0.0, duration=None, roots=()))
    return changed
