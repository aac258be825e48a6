"""Time of one alignment, everyone's, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from asr_gate.audit.acoustic import AcousticModel, Emission
from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import align, prepare
from asr_gate.audit.align.passes import solve_single_edit, solve_unconstrained
from asr_gate.audit.align.problem import problem
from asr_gate.audit.controls.plant import Planting, plan_controls
from asr_gate.audit.engine.measure import Measurer
from asr_gate.corpus.text.letters import Transcript
from bench.detection.competitors import COMPETITORS, Competitor, TorchaudioFree, strict_path
from bench.detection.material import BATCH_SECONDS, Material

RUNS = 7
TURNS = 2
EACH = 4
"""Every fourth utterance is enough for the cost of controls."""


@dataclass(frozen=True, slots=True)
class Speed:
    """All utterances, of each the best of several runs."""

    name: str
    seconds: float
    """Of a processor."""
    audio: float
    """Seconds of speech aligned."""


def speeds(given: Material) -> list[Speed]:
    """Torchaudio first, then ours, then the others'; each from emission and transcript."""
    info = given.info

    def single(emission: Emission, transcript: Transcript) -> None:
        strict_path(emission, transcript, info)

    def with_arcs(emission: Emission, transcript: Transcript) -> None:
        solve_unconstrained(problem(prepare(emission, info), transcript, info), info.temperature)

    def both(emission: Emission, transcript: Transcript) -> None:
        p = problem(prepare(emission, info), transcript, info)
        solve_single_edit(p)
        solve_unconstrained(p, info.temperature)

    def whole(emission: Emission, transcript: Transcript) -> None:
        align(prepare(emission, info), transcript, info)

    jobs: list[tuple[str, Callable[[Emission, Transcript], object]]] = [
        ("torchaudio forced_align: one path", single),
        ("asr-gate: the pass with arcs, forward, path and back", with_arcs),
        ("asr-gate: both passes", both),
        ("asr-gate: `align`, with words, times and evidence", whole),
    ]
    for other in COMPETITORS:
        if not other.absent and not isinstance(other, TorchaudioFree):
            name = f"{other.title}: its words and scores"
            jobs.append((name, partial(_score, other, info)))
    return [_best(name, job, given) for name, job in jobs]


def cost_of_controls(model: AcousticModel, given: Material) -> float:
    """Processor time of an audit's measurements with every control in every utterance, over that
    with none; of each the best of several runs, in turns.
    """
    rows = given.utterances[::EACH]
    everything = plan_controls(rows, given.transcripts, per_kind=len(rows), seed=0)

    def seconds(plantings: Mapping[str, Planting]) -> float:
        measurer = Measurer(model, given.transcripts, plantings, BATCH_SECONDS)
        begin = time.process_time()
        try:
            measurer.measure(rows)
        finally:
            measurer.stop()
        return time.process_time() - begin

    pairs = [(seconds(everything), seconds({})) for _ in range(TURNS)]
    return min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs)


def _score(other: Competitor, info: ModelInfo, emission: Emission, transcript: Transcript) -> None:
    other.doubt(emission, transcript, info)


def _best(name: str, job: Callable[[Emission, Transcript], object], given: Material) -> Speed:
    total = 0.0
    for utterance, emission in zip(given.utterances, given.emissions, strict=True):
        times = []
        for _ in range(RUNS):
            begin = time.thread_time()
            job(emission, given.transcripts[utterance.id])
            times.append(time.thread_time() - begin)
        total += min(times)
    return Speed(name, total, sum(r.duration for r in given.recordings))
