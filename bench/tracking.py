"""What tracking costs a training: whole steps with it and without, and the time spent in it.

    python -m bench.tracking [--rounds 12]

It runs `round2-tiny` on the bundled corpus as `asr train` does: W&B (offline), TensorBoard,
`log.jsonl` and `run.json` at the default intervals. Epochs alternate: in every second one the
recorder of the run is given no step. All are of phase B, whose steps are short because the audio
tower's outputs come from the cache; there the share is largest. W&B's own process runs all the
time; its processor time is counted apart. The table goes into docs/tracking.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import psutil
import torch

from asr_gate.tracking import TrackerSettings
from asr_gate.train.loop.events import Milestone, StepRecord
from asr_gate.train.observe import run_recorder
from asr_gate.train.run import run
from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tracking.md"
CORPUS = ROOT / "audit" / "example" / "proceed.jsonl"
REPORT = ROOT / "reports" / "example"
WARM_UP = 2
"""Epochs that do not count: the first one fills the caches."""
AIM = 0.02
"""Most that tracking may add to a step."""


@dataclass(frozen=True)
class _TimedStep:
    """One step."""

    ended: float
    """When it was recorded, in seconds."""
    worked: float
    """Processor time of this process by then, of all its threads."""
    inside: float
    """Seconds spent in recording it."""
    entry: bool
    """Whether metrics were logged."""


_children: dict[int, float] = {}
"""Processor time of W&B's process, in seconds, as last seen."""


class _Alternating(run_recorder.RunRecorder):
    """Records the steps of every second epoch."""

    epochs: dict[int, list[_TimedStep]] = defaultdict(list)  # noqa: RUF012  (one run a process)

    def step_done(self, record: StepRecord) -> None:
        """As its base, or nothing."""
        began = time.perf_counter()
        if record.epoch % 2:
            super().step_done(record)
        self.last_step = record.step
        ended = time.perf_counter()
        entry = record.step % self.recipe.wandb.log_interval == 0
        timed = _TimedStep(ended, time.process_time(), ended - began, entry)
        self.epochs[record.epoch].append(timed)

    def epoch_done(self, record: Milestone) -> None:
        """As its base; and note the processor time of W&B's process."""
        super().epoch_done(record)
        for child in psutil.Process().children(recursive=True):
            _children[child.pid] = sum(child.cpu_times()[:2])


def measure(rounds: int) -> tuple[str, list[str]]:
    """What was measured, and the lines of the table."""
    defaults = TrackerSettings()
    epochs = WARM_UP + 2 * rounds
    run_recorder.RunRecorder = _Alternating  # type: ignore[misc]
    with TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = os.environ["WANDB_DATA_DIR"] = name
        result = run(
            "round2-tiny",
            data=[CORPUS],
            report=str(REPORT),
            overrides=[
                f"phases.0.epochs={list(range(1, epochs + 1))}",
                f"phases.1.epochs=[{epochs + 1}]",
                f"wandb.log_interval={defaults.log_interval}",
                "wandb.log_model=none",
                # So many epochs would learn the rows by heart, and small losses leap.
                *(f"phases.0.groups.{group}.learning_rate=1e-6" for group in range(3)),
                # Their time is none of a step's.
                "evaluation.max_new_tokens=1",
                "data.evaluation_limit=1",
            ],
            out=folder / "run",
            tracking={"enabled": True, "mode": "offline", "folder": folder},
        )
    taken = _Alternating.epochs
    counted = range(WARM_UP + 1, epochs + 1)
    paces = {
        clock: [_paces(taken, counted, side, clock) for side in (1, 0)]
        for clock in ("ended", "worked")
    }
    (on, off), (busy_on, busy_off) = ([median(side) for side in each] for each in paces.values())
    wall = taken[counted[-1]][-1].ended - taken[1][0].ended
    timed = [step for epoch in counted if epoch % 2 for step in taken[epoch]]
    inside = mean(step.inside for step in timed)
    plain = median(step.inside for step in timed if not step.entry)
    entry = median(step.inside for step in timed if step.entry)
    met = "meets" if inside / off <= AIM else "misses"
    spread = max(paces["ended"][1]) / min(paces["ended"][1]) - 1
    aside = sum(_children.values()) / wall
    about = (
        f"{result.plan.training} recordings; {len(timed):,} steps with tracking and {len(timed):,} "
        f"without, in {2 * rounds} alternating epochs; metrics are logged every "
        f"{defaults.log_interval} steps, the machine's every {defaults.detailed_interval}; "
        f"1 thread, torch {torch.__version__}."
    )
    return about, [
        "| | one step |",
        "|---|---:|",
        f"| without tracking | {1e3 * off:.2f} ms |",
        f"| with tracking | {1e3 * on:.2f} ms ({on / off - 1:+.1%}) |",
        f"| processor time, without | {1e3 * busy_off:.2f} ms |",
        f"| processor time, with | {1e3 * busy_on:.2f} ms ({busy_on / busy_off - 1:+.1%}) |",
        f"| spent in tracking, mean | {1e3 * inside:.3f} ms ({inside / off:.2%} of a step) |",
        f"| – a step that logs no metrics | {1e3 * plain:.3f} ms |",
        f"| – a step that logs metrics | {1e3 * entry:.2f} ms |",
        "",
        f"The time spent in tracking {met} the aim of {AIM:.0%} of a step. Whole steps are medians "
        f"of {rounds} epochs. Epochs without tracking differ by {spread:.0%} among themselves, "
        "because of other work on the machine, so small differences mean nothing. W&B's own "
        f"process took {aside:.1%} of a core.",
    ]


def _paces(
    taken: dict[int, list[_TimedStep]], counted: Sequence[int], side: int, clock: str
) -> list[float]:
    """Seconds a step of each epoch with (1) or without (0) tracking.

    From the end of an epoch's first step: what lies before it is no step.
    """
    return [
        (getattr(taken[epoch][-1], clock) - getattr(taken[epoch][0], clock))
        / (len(taken[epoch]) - 1)
        for epoch in counted
        if epoch % 2 == side
    ]


def main() -> None:
    """Measure, print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12, help="pairs of epochs that count")
    about, lines = measure(parser.parse_args().rounds)
    print(about + "\n\n" + "\n".join(lines), flush=True)
    replace_figures(PAGE, "overhead", f"{about}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
