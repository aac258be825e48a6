"""Defects of the sound itself, and numbers read otherwise than written: planted in real recordings.

An audit plants no foreign speech: it would have to be decoded and heard anew, and what it would
show is what `cut` and `removed` show, speech that the transcript lacks. Recordings that are cut it
plants by leaving out frames of the emission; here they are cut themselves, and heard anew.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr_gate.audit.checks import cut_off, other_text
from asr_gate.audit.checks.rule import Context
from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.controls.plant import Planting, plan_controls
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.judge import judge
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import FOUND_BY, Evidence
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import Calibration
from asr_gate.corpus.speech.activity import HOP, speech_activity
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance
from bench.detection.material import BATCH_SECONDS, Material

FOREIGN: Seconds = 3.0
"""Most of another recording that is put in."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "four": "fourth", "five": "fifth",
    "six": "sixth", "seven": "seventh", "eight": "eighth", "nine": "ninth", "ten": "tenth",
    "first": "one", "second": "two", "third": "three",
}  # fmt: skip
BY_DIGITS = {
    "ten": "one zero", "twelve": "one two", "zero": "oh", "oh": "zero",
    **{word: f"{DIGITS[n]} zero" for n, word in enumerate(TENS) if word},
    **{
        f"{DIGITS[n]} {other}": f"{word} {other}"
        for n, word in enumerate(TENS)
        for other in DIGITS[1:]
        if word
    },
}  # fmt: skip
"""How else numbers may be read: as an ordinal; digit by digit, or two digits as a number."""


@dataclass(frozen=True, slots=True)
class Spoiled:
    """One defective row."""

    row: Utterance
    evidence: tuple[Evidence, ...]
    """Any of which finds it,"""
    words: range
    """at these words, or at a gap beside one of them."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of one kind were found."""

    kind: str
    planted: int
    found: int
    """By evidence at their place."""
    errors: int
    """By a finding that excludes the row (A008, A009)."""


@dataclass(frozen=True)
class Bench:
    """The recordings as they are, and what an audit says of them."""

    given: Material
    natural: list[Judged]
    cohorts: Mapping[str, Planting]
    """Transcripts of others, by which mismatch is measured."""
    calibration: Calibration
    policy: Policy
    folder: Path
    """For changed recordings."""

    def row(self, number: int, samples: NDArray[np.float32], kind: str) -> Utterance:
        """An utterance with other sound."""
        own, rate = self.given.utterances[number], self.given.info.sample_rate
        path = self.folder / f"{number}-{kind}.wav"
        soundfile.write(path, samples, rate, subtype="FLOAT")
        return replace(own, audio=path, offset=0.0, duration=None, roots=())


def further(
    given: Material, natural: Sequence[Measured], policy: Policy, folder: Path
) -> Iterator[Share]:
    """Plant each kind in every utterance that takes it.

    Args:
        given: the recordings as they are.
        natural: as they were measured, with controls, which set the thresholds.
        policy: the limits.
        folder: for changed recordings.
    """
    calibration = calibrate(
        natural, false_alarm=policy.controls.false_alarm, floors=policy.controls.floors()
    )
    judged, _ = judge(natural, calibration, given.info.delay)
    cohorts = plan_controls(given.utterances, given.transcripts, per_kind=1, seed=0)
    bench = Bench(given, judged, cohorts, calibration, policy, folder)
    numbers = range(len(given.utterances))
    kinds: dict[str, Iterable[Spoiled | None]] = {
        "30 % of the speech cut off": (_shortened(bench, n, 0.3) for n in numbers),
        "20 % of the speech cut off": (_shortened(bench, n, 0.2) for n in numbers),
        "speech of another recording at the end": (_foreign(bench, n, end=True) for n in numbers),
        "another speaker in the middle": (_foreign(bench, n, end=False) for n in numbers),
        "a number read digit by digit, or in pairs": _misread(bench, BY_DIGITS),
        "a number read as an ordinal": _misread(bench, ORDINALS),
    }
    for kind, made in kinds.items():
        yield _count(kind, [one for one in made if one], bench)


def _count(kind: str, made: Sequence[Spoiled], bench: Bench) -> Share:
    given = bench.given
    # Several may be of one utterance.
    rows = [replace(one.row, id=f"{number} {one.row.id}") for number, one in enumerate(made)]
    transcripts = {row.id: given.model.spell(row.text, row.lang) for row in rows}
    plantings = {
        row.id: Planting(bench.cohorts[one.row.id].cohort, ())
        for row, one in zip(rows, made, strict=True)
    }
    measurer = Measurer(given.model, transcripts, plantings, BATCH_SECONDS)
    try:
        measured = measurer.measure(rows)
    finally:
        measurer.stop()
    judged, _ = judge(measured, bench.calibration, given.info.delay)
    context = Context(
        policy=bench.policy,
        content={},
        language=given.info.language,
        calibration=bench.calibration,
        absolute_thresholds={},
        corpus=Corpus(rows, []),
    )
    errors = {
        finding[0]
        for rule in (cut_off.RULE, other_text.RULE)
        for finding in rule.find(judged, context)
    }
    (thresholds,) = bench.calibration.thresholds.values()
    found = sum(
        row.id in errors or any(_value(row, e, one.words) > thresholds[e] for e in one.evidence)
        for one, row in zip(made, measured, strict=True)
    )
    return Share(kind, len(made), found, len(errors))


def _value(row: Measured, evidence: Evidence, words: range) -> float:
    """The strongest evidence of one sort there."""
    if evidence == "insertion":
        gaps = row.gaps[words.start : words.stop + 1]
        return max((gap.insertion for gap in gaps), default=-inf)
    there = row.words[words.start : words.stop]
    values = (w.deletion if evidence == "deletion" else w.substitution for w in there)
    return max(values, default=-inf)


def _shortened(bench: Bench, number: int, share: float) -> Spoiled | None:
    """Without so much of its speech at one end, where whole words are lost."""
    recording, row = bench.given.recordings[number], bench.natural[number]
    rate = recording.sample_rate
    spoken = np.cumsum(speech_activity(recording.samples, rate))
    at_end = random.Random(row.id).random() < 0.5
    part = 1 - share if at_end else share
    cut = float(np.searchsorted(spoken, part * spoken[-1])) * HOP
    count = len(row.words)
    if at_end:
        lost = [i for i, word in enumerate(row.words) if word.start >= cut]
        places, samples = (
            range(min(lost, default=count), count),
            recording.samples[: round(cut * rate)],
        )
    else:
        lost = [i for i, word in enumerate(row.words) if word.end <= cut]
        places, samples = range(max(lost, default=-1) + 1), recording.samples[round(cut * rate) :]
    if not 0 < len(places) < count:
        return None
    return Spoiled(bench.row(number, samples, f"cut-{share}"), ("deletion",), places)


def _foreign(bench: Bench, number: int, *, end: bool) -> Spoiled | None:
    """With speech of another recording at the end, or between two words."""
    given, row = bench.given, bench.natural[number]
    rate = given.info.sample_rate
    chance = random.Random(f"{row.id} {end}")
    own = given.recordings[number].samples
    others = [
        n for n in range(len(given.recordings)) if given.utterances[n].text != row.measured.text
    ]
    other = given.recordings[chance.choice(others)].samples
    piece = other[np.flatnonzero(np.abs(other) > 0.05 * np.abs(other).max())[0] :]
    piece = piece[: round(FOREIGN * rate)]
    if end:
        places, at = range(len(row.words) - 1, len(row.words)), len(own)
    elif len(row.words) < 3:
        return None
    else:
        gap = chance.randrange(1, len(row.words))
        places = range(gap - 1, gap + 1)
        at = round((row.words[gap - 1].end + row.words[gap].start) / 2 * rate)
    samples = np.concatenate([own[:at], piece, own[at:]])
    return Spoiled(bench.row(number, samples, f"foreign-{end}"), ("insertion",), places)


def _misread(bench: Bench, readings: Mapping[str, str]) -> Iterator[Spoiled]:
    """Each number of the texts, one at a time, as another way to read it has it."""
    for own in bench.given.utterances:
        words = own.text.split()
        bare = [word.lower().strip(".,;:!?") for word in words]
        for i in range(len(words)):
            for count in (1, 2):
                other = readings.get(" ".join(bare[i : i + count]))
                if other is None or i + count > len(words):
                    continue
                text = " ".join([*words[:i], other, *words[i + count :]])
                before = len(bench.given.model.spell(" ".join(words[:i]) or ".", own.lang).words)
                places = range(before, before + len(other.split()))
                yield Spoiled(replace(own, text=text), FOUND_BY["phrase"], places)
