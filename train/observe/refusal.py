"""A training that the gate refuses leaves a trace where W&B is on: a short run, and a line on disk.

Nothing here imports torch, so that a refusal stays quick.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.tracking import Tracker, TrackerSettings, TrackingError
from asr_gate.tracking.redact import redact
from asr_gate.train.authorise import REFUSALS
from asr_gate.train.record import REFUSED_FILE

DECISIONS = {10: "CAUTION", 20: "STOP", 30: "NO_VERDICT"}
"""The decision by the exit code of a refusal; without a report to rely on there is no verdict."""


@dataclass(frozen=True)
class Attempt:
    """A training that was asked for."""

    recipe: str
    report: str | None
    """As it was named; None: the latest of the data."""
    data: list[str]


@contextmanager
def refusals_logged(
    settings: TrackerSettings, recipe: str, report: str | None, data: Sequence[object], runs: Path
) -> Iterator[None]:
    """Log a refusal that leaves the block, if W&B is on; the refusal itself stays what it is.

    Args:
        settings: of the training's tracker.
        recipe: name of the recipe.
        report: as it was named; None: the latest of the data.
        data: manifests to train on.
        runs: folder of the trainings; the line goes to its `refused.jsonl`.
    """
    try:
        yield
    except REFUSALS as error:
        if settings.on:
            # Neither a client that is missing nor a full disk may hide why there is no training.
            with contextlib.suppress(TrackingError, OSError):
                _log(settings, Attempt(recipe, report, [str(one) for one in data]), error, runs)
        raise


def _log(settings: TrackerSettings, attempt: Attempt, error: UserError, runs: Path) -> None:
    decision = DECISIONS[error.exit_code]
    told: dict[str, Any] = {"decision": decision, "reason": str(error)}
    named = settings.model_copy(
        update={
            "run_name": settings.run_name or attempt.recipe,
            "job_type": settings.job_type or "train",
            "tags": tuple(dict.fromkeys([*settings.tags, "refused"])),
        }
    )
    tracker = Tracker(named)
    tracker.check()
    tracker.init(config={**asdict(attempt), "phase0": {**told, "report": attempt.report}})
    tracker.log_summary({"refused": True, "exit_code": error.exit_code, **told})
    tracker.finish(error.exit_code)
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **asdict(attempt),
        **told,
        "exit_code": error.exit_code,
        "run_id": tracker.run_id,
    }
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / REFUSED_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(redact(line), ensure_ascii=False) + "\n")
