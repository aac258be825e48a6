"""What does alignment detect on real speech, and what do other people's aligners?

Plants the audit's own controls in the transcripts of real recordings, as they are, over a
telephone and under noise, and gives the same transcripts and the same emissions to our lattice,
torchaudio's forced_align, ctc-forced-aligner and ctc-segmentation. Measures word times against
hand-made ones, and time. Needs a NeMo-style manifest of English speech (`--data`, default
`../shared/speech/manifest.jsonl`) and an acoustic model (`--aligner`, default the QuartzNet 15x5
export of `../shared/models`); the embedded model is measured on the clean recordings besides.

Run: python -m bench.detection
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from asr_gate.audit.acoustic import load_model
from asr_gate.audit.detection.figures import Detection, detection
from asr_gate.audit.detection.files import write_figures
from asr_gate.audit.detection.known import read_known
from asr_gate.audit.policy import Policy, load_policy
from asr_gate.corpus.utterance import Utterance
from bench.detection import tables
from bench.detection.boundaries import boundaries
from bench.detection.competitors import COMPETITORS
from bench.detection.conditions import CLEAN, CONDITIONS, Condition
from bench.detection.data import HandMade, hand_times, speaker, utterances
from bench.detection.flagged import flagged
from bench.detection.further import further
from bench.detection.material import collect
from bench.detection.measure import DRAWS, measure
from bench.detection.ours import HALVINGS
from bench.detection.speed import cost_of_controls, speeds
from bench.detection.spoiled import spoiled
from bench.docs import replace_figures
from bench.needed import speech_and_model

KNOWN = Path(__file__).with_name("known.toml")
FIGURES = Path(__file__).parents[2] / "docs" / "figures"
PAGE = Path(__file__).parents[2] / "docs" / "detection.md"


def main() -> None:
    """Measure, print, and put the tables into the page."""
    data, aligner = speech_and_model(__doc__)
    chosen = utterances(data)
    torch.set_num_threads(1)
    begin = time.perf_counter()
    minutes = sum(u.duration or 0.0 for u in chosen) / 60
    setting = (
        f"{len(chosen)} English utterances, {minutes:.1f} minutes; {DRAWS} draws of defects, so "
        f"{DRAWS * len(chosen)} of each kind; thresholds set on one half of the utterances and "
        f"counted on the other, {2 * HALVINGS} times a draw. Beside "
        f"{', '.join(dict.fromkeys(c.title for c in COMPETITORS))}.\n\n"
    )
    policy, hand = load_policy(), hand_times(data)
    _measure("main", aligner, CONDITIONS, setting, chosen, policy, hand)
    _measure("embedded", "embedded", (CLEAN,), setting, chosen, policy, hand)
    print(f"{time.perf_counter() - begin:.0f} s")


def _measure(
    name: str,
    spec: str,
    conditions: Sequence[Condition],
    setting: str,
    chosen: Sequence[Utterance],
    policy: Policy,
    hand: dict[str, HandMade],
) -> None:
    """One model: its part of the page."""
    model = load_model(spec, device="cpu")
    heading = f"Aligner: {model.info.name}. {setting}"
    detected = _show(heading)
    figures: dict[str, Detection] = {}
    wrong, doubtful = (
        {row.id for row in read_known(KNOWN) if row.verdict == verdict}
        for verdict in ("wrong", "doubtful")
    )
    for condition in conditions:
        with tempfile.TemporaryDirectory() as folder:
            changed = condition.render(chosen, model.info.sample_rate, Path(folder))
            given = collect(model, changed)
            found = measure(given, policy)
        detected += _show(tables.detection(condition.name, found))
        natural = found.audited.natural
        speakers = {row.id: speaker(row.id) for row in natural}
        figures[condition.name] = detection(
            natural, policy, wrong=wrong, doubtful=doubtful, speakers=speakers
        )
        if condition is CLEAN:
            times = _show(tables.boundaries(boundaries(given, hand)))
            replace_figures(PAGE, f"times-{name}", times)
            doubted = flagged(given, natural, found.tally)
            replace_figures(PAGE, f"flagged-{name}", _show(tables.flagged(doubted, len(chosen))))
            if name == "main":
                replace_figures(PAGE, "speed", _show(tables.speed(speeds(given))))
                aside = wrong | doubtful
                many = list(spoiled(found.audited, policy, aside))
                replace_figures(PAGE, "spoiled", _show(tables.spoiled(many)))
                with tempfile.TemporaryDirectory() as folder:
                    shares = list(further(given, natural, policy, Path(folder)))
                replace_figures(PAGE, "further", _show(tables.further(shares)))
            detected += _show(tables.cost(cost_of_controls(model, given)))
    replace_figures(PAGE, f"detection-{name}", detected)
    if name == "main":
        replace_figures(PAGE, "held-out", _show(tables.held_out(figures)))
        shown = {c.name: figures[c.name] for c in conditions[:2]}
        replace_figures(PAGE, "figures", _show(tables.figures(shown)))
        about = {"aligner": model.info.name, "known": [r.model_dump() for r in read_known(KNOWN)]}
        write_figures(FIGURES, figures, about)


def _show(text: str) -> str:
    print(text, flush=True)
    return text


if __name__ == "__main__":
    main()
