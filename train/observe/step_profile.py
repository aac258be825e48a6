"""A trace of a few steps and where their time goes, for `asr train --profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from asr_gate.corpus.errors import UserError
from asr_gate.train.files import write_json
from asr_gate.train.loop.events import StepRecord

FOLDER = "profile"
SKIPPED, WARM, STEPS = 2, 1, 5
"""Steps that are skipped (the first ones do work that is done once), that warm the profiler up, and
that are traced."""

PARTS = {
    "batches": "enumerate(DataLoader)",
    "forward": "asr.forward",
    "backward": "asr.backward",
    "optimizer": "Optimizer.step",
}
"""Parts of a step's time, and the beginnings of their names in the profiler."""


class StepProfile:
    """Traces some early steps with torch's profiler."""

    def __init__(self, out: Path) -> None:
        """Start the profiler.

        Args:
            out: the run's folder, for `profile/trace.json.gz` (chrome://tracing, Perfetto) and
                `profile/steps.json`.
        """
        self.folder = out / FOLDER
        self.summary: dict[str, Any] | None = None
        """Content of `steps.json`; None until the steps are traced."""
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        self._walls: list[float] = []
        self._profiler: profile | None = profile(
            activities=activities,
            schedule=schedule(wait=SKIPPED, warmup=WARM, active=STEPS, repeat=1),
            on_trace_ready=self._write,
            acc_events=True,  # without it, a warning says that there is only one cycle
        )
        self._profiler.start()

    def step_done(self, record: StepRecord) -> None:
        """A step is over; after the last traced step the files are written.

        Raises:
            UserError: the disk is full or not writable.
        """
        if self._profiler is None:
            return
        self._walls.append(record.wall)
        self._profiler.step()
        if self.summary is not None:
            self.close()

    def close(self) -> None:
        """The run is over, perhaps before all steps were traced."""
        if self._profiler is not None:
            profiler, self._profiler = self._profiler, None
            profiler.stop()

    def _write(self, profiler: profile) -> None:
        walls = self._walls[SKIPPED + WARM :]
        if not walls:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            profiler.export_chrome_trace(str(self.folder / "trace.json.gz"))
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written ({error.strerror})") from error
        # In microseconds, summed over all traced steps.
        found = [(e.key, e.cpu_time_total, e.device_time_total) for e in profiler.key_averages()]
        steps, wall = len(walls), sum(walls)
        parts = {
            name: {
                "processor_ms": sum(cpu for key, cpu, _ in found if key.startswith(lead))
                / steps / 1e3,
                "device_ms": sum(dev for key, _, dev in found if key.startswith(lead))
                / steps / 1e3,
            }
            for name, lead in PARTS.items()
        }  # fmt: skip
        self.summary = {"steps": steps, "step_ms": 1e3 * wall / steps, "parts": parts}
        write_json(self.folder / "steps.json", self.summary)


def in_words(summary: dict[str, Any]) -> str:
    """The breakdown in one line."""
    parts = ", ".join(
        f"{name} {max(part['processor_ms'], part['device_ms']):.1f}"
        for name, part in summary["parts"].items()
    )
    return f"a step takes {summary['step_ms']:.1f} ms ({parts}), mean of {summary['steps']}"
