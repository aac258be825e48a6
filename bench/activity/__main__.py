"""Which detector of speech activity is better, and what does it do to an audit?

Mixes real recordings with noise, music, other voices and rooms, and compares the network silero-vad
with the level alone: by frames, against the words' times that the acoustic model finds in the clean
recordings; by what rule S009 measures; and by what an audit of the mixtures finds. Needs a
NeMo-style manifest of English speech and an acoustic model (see `bench.needed`).

Run: python -m bench.activity
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from asr_gate.audit.acoustic import load_model
from asr_gate.audit.policy import Policy, load_policy
from asr_gate.corpus.speech.detector import Detector
from bench.activity.effect import Effect, effects, rendered
from bench.activity.frames import DETECTORS, Clean, Frames, measure
from bench.activity.sounds import CLEAN, MIXTURES, Mixture
from bench.detection.boundaries import boundaries, placed_words
from bench.detection.data import hand_times, utterances
from bench.detection.material import Material, collect
from bench.docs import replace_figures
from bench.needed import speech_and_model

PAGE = Path(__file__).parents[2] / "docs" / "speech-activity.md"
AUDITED = ("clean", "pink noise, 0 dB", "music, 0 dB", "one other voice, 10 dB", "room, 0.8 s")
"""Titles of the mixtures that are audited."""


def main() -> None:
    """Measure, print, and put the tables into the page."""
    data, aligner = speech_and_model(__doc__)
    torch.set_num_threads(1)
    policy = load_policy()
    given = collect(load_model(aligner, device="cpu"), utterances(data))
    compare_frames(given, policy)
    near = [boundaries(given, hand_times(data), one).found[0].near for one in DETECTORS]
    times = ", ".join(
        f"{detector} {starts:.1%} of the starts and {ends:.1%} of the ends"
        for detector, (starts, ends) in zip(DETECTORS, near, strict=True)
    )
    replace_figures(PAGE, "times", f"Word times within 50 ms of hand-made ones: {times}.\n")
    compare_audits(given, policy)


def compare_frames(given: Material, policy: Policy) -> None:
    """The tables of frames and of rule S009."""
    _, words, _ = placed_words(given, "energy")
    recordings = [
        Clean(u.id, recording.samples.astype(np.float64), spans)
        for u, recording, spans in zip(given.utterances, given.recordings, words, strict=True)
    ]
    found = {mixture: measure(mixture, recordings) for mixture in MIXTURES}
    lines = [frame_row(mixture, by_detector) for mixture, by_detector in found.items()]
    replace_figures(PAGE, "frames", shown(FRAMES + "".join(lines) + cost(found[CLEAN])))
    least = policy.signal.min_speech_to_noise_db
    lines = [noisy_row(mixture, by_detector, least) for mixture, by_detector in found.items()]
    replace_figures(PAGE, "noisy", shown(NOISY + "".join(lines)))


def compare_audits(given: Material, policy: Policy) -> None:
    """The table of audits."""
    sounds = [recording.samples.astype(np.float64) for recording in given.recordings]
    lines: list[str] = []
    for mixture in MIXTURES:
        if mixture.title not in AUDITED:
            continue
        with tempfile.TemporaryDirectory() as folder:
            changed = rendered(mixture, given.utterances, sounds, Path(folder))
            heard = given if mixture is CLEAN else collect(given.model, changed)
            lines += effect_rows(mixture, effects(heard, policy))
        shown("".join(lines[-2:]))
    replace_figures(PAGE, "audits", EFFECTS + "".join(lines))


def shown(text: str) -> str:
    """A text, which is printed."""
    print(text, flush=True)
    return text


FRAMES = (
    "| mixture | missed: energy | silero | false: energy | silero | accuracy: energy | silero |\n"
    "|---|---:|---:|---:|---:|---:|---:|\n"
)
NOISY = (
    "| mixture | level: under the limit | median | silero's pauses: under the limit | median |\n"
    "|---|---:|---:|---:|---:|\n"
)
EFFECTS = (
    "| mixture | detector | inserted | replaced | removed | cut | any alarm | A010 "
    "| coverage: p10 | median | under 0.6 |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
)


def frame_row(mixture: Mixture, found: dict[Detector, Frames]) -> str:
    """Missed and false speech, the better accuracy in bold."""
    both = [found[detector] for detector in DETECTORS]
    cells = [f"{frames.missed_share:.1%}" for frames in both]
    cells += [f"{frames.false_share:.1%}" for frames in both]
    best = max(frames.accuracy for frames in both)
    cells += [
        f"**{frames.accuracy:.3f}**" if frames.accuracy == best else f"{frames.accuracy:.3f}"
        for frames in both
    ]
    return f"| {mixture.title} | {' | '.join(cells)} |\n"


def noisy_row(mixture: Mixture, found: dict[Detector, Frames], least: float) -> str:
    """How many recordings rule S009 calls noisy, and what it measures."""
    cells: list[str] = []
    for detector in DETECTORS:
        ratios = np.array(found[detector].ratios)
        cells += [f"{(ratios < least).mean():.0%}", f"{np.median(ratios):.1f} dB"]
    return f"| {mixture.title} | {' | '.join(cells)} |\n"


def cost(found: dict[Detector, Frames]) -> str:
    """Processor time."""
    parts: Sequence[str] = [
        f"{detector} {3600 * frames.seconds / frames.audio:.1f} s"
        for detector, frames in found.items()
    ]
    return f"\nProcessor time for an hour of audio: {', '.join(parts)}.\n"


def effect_rows(mixture: Mixture, found: dict[Detector, Effect]) -> list[str]:
    """One row a detector."""
    rows = []
    for detector, effect in found.items():
        cells = [f"{effect.found(k):.2f}" for k in ("inserted", "replaced", "removed", "cut")]
        cells += [f"{effect.alarms:.1%}", f"{effect.unheard:.1%}"]
        cells += [f"{value:.2f}" for value in effect.coverage]
        rows.append(f"| {mixture.title} | {detector} | {' | '.join(cells)} | {effect.low:.1%} |\n")
    return rows


if __name__ == "__main__":
    main()
