"""What was done on this disk: audits, trainings and evaluations, for `asr runs`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from asr_gate.audit.engine.parts import Parts
from asr_gate.audit.gate.read import read_report
from asr_gate.audit.records.report import REPORT_FILE
from asr_gate.audit.report.history import earlier_reports
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT, is_held, read_regular
from asr_gate.train.evaluation.result_file import read_result
from asr_gate.train.recipes import differences
from asr_gate.train.record import REFUSED_FILE, RUN_FILE, read_record

Status = Literal["running", "finished", "stopped", "interrupted", "failed", "refused", "unreadable"]

PREDICTIONS = ".predictions.jsonl"
"""End of the name of the file that lies beside every result."""


@dataclass(frozen=True)
class Entry:
    """One audit, training or evaluation."""

    name: str
    """Its folder, or the file of a result."""
    kind: Literal["audit", "training", "evaluation"]
    when: str
    """When it was written last, ISO 8601 in UTC."""
    status: Status
    reason: str | None = None
    """Why it ended early, or cannot be read."""
    recipe: str | None = None
    overrides: dict[str, Any] | None = None
    """What differs from the recipe, by key; None: the recipe is not known here."""
    checkpoint: str | None = None
    """What was evaluated."""
    aligner: str | None = None
    data: list[str] = field(default_factory=list)
    """Manifests; of a training those of its audit, if that is among the reports."""
    fingerprint: str | None = None
    """Of the dataset."""
    decision: str | None = None
    """Of the audit, or of the audit that a training rests on."""
    low_quality_percentage: float | None = None
    wer: float | None = None
    """Of a training the lowest."""


def history(root: Path) -> list[Entry]:
    """All that is under `reports/`, `runs/` and `evals/`, the newest first.

    Nothing here raises for what cannot be read: its status says so.

    Args:
        root: folder of these three.
    """
    audits = list(_audits(root / "reports"))
    manifests = {one.fingerprint or "": one.data for one in audits}
    found = [
        *audits,
        *_trainings(root / "runs", manifests),
        *_refused(root / "runs" / REFUSED_FILE),
        *_evaluations(root / "evals"),
    ]
    return sorted(found, key=lambda one: (one.when, one.name), reverse=True)


def _audits(reports: Path) -> Iterator[Entry]:
    for folder in _folders(reports):
        path = folder / REPORT_FILE
        for one in (*earlier_reports(folder), *([path] if path.is_file() else [])):
            yield _audit(one)
        began = Parts(folder).unfinished
        if began is not None:
            status: Status = "running" if is_held(folder) else "interrupted"
            yield Entry(str(folder), "audit", _iso(began), status)


def _audit(path: Path) -> Entry:
    name = str(path.parent)
    try:
        report = read_report(path)
    except UserError as error:
        return _unreadable(name, "audit", path, error)
    return Entry(
        name,
        "audit",
        _date(report.created_at, path),
        "finished",
        aligner=report.aligner.name,
        data=report.dataset.manifests,
        fingerprint=report.dataset.fingerprint,
        decision=report.decision,
        low_quality_percentage=report.low_quality_percentage,
    )


def _trainings(runs: Path, manifests: dict[str, list[str]]) -> Iterator[Entry]:
    for folder in _folders(runs):
        path = folder / RUN_FILE
        if not path.is_file():
            continue
        name = str(folder)
        try:
            record = read_record(folder)
        except UserError as error:
            yield _unreadable(name, "training", path, error)
            continue
        status: Status = record.status
        reason = record.reason
        if is_held(folder):
            status = "running"
        elif status == "running":
            status, reason = "interrupted", "its process is gone"
        yield Entry(
            name,
            "training",
            _iso(path.stat().st_mtime),
            status,
            reason,
            recipe=record.recipe,
            overrides=differences(record.recipe, record.config),
            data=manifests.get(record.phase0.dataset_fingerprint, []),
            fingerprint=record.phase0.dataset_fingerprint,
            decision=record.phase0.decision,
            low_quality_percentage=record.phase0.low_quality_percentage,
            wer=record.best_wer(),
        )


def _refused(path: Path) -> Iterator[Entry]:
    """Trainings that the gate refused, named by their lines."""
    try:
        lines = read_regular(path, RECORD_LIMIT).splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        yield Entry(str(path), "training", _iso(0), "unreadable", error.strerror)
        return
    for number, line in enumerate(lines, start=1):
        name = f"{path}:{number}"
        try:
            told = _Refusal.model_validate_json(line)
        except ValidationError:
            yield _unreadable(name, "training", path, UserError("not a refusal"))
            continue
        yield Entry(
            name,
            "training",
            _date(told.time, path),
            "refused",
            told.reason,
            recipe=told.recipe,
            data=told.data,
            decision=told.decision,
        )


class _Refusal(BaseModel):
    """A line of `refused.jsonl`, as far as it is listed."""

    time: str
    recipe: str
    data: list[str]
    decision: str
    reason: str


def _evaluations(evals: Path) -> Iterator[Entry]:
    for folder in (evals, *_folders(evals)):
        for beside in sorted(folder.glob(f"*{PREDICTIONS}")):
            path = beside.with_name(beside.name.removesuffix(PREDICTIONS) + ".json")
            name = str(folder if path.name == "result.json" else path)
            try:
                result, _ = read_result(path)
            except UserError as error:
                yield _unreadable(name, "evaluation", beside, error)
                continue
            yield Entry(
                name,
                "evaluation",
                _date(result.created_at, path),
                "finished",
                checkpoint=result.checkpoint,
                data=result.manifests,
                wer=result.overall.wer,
            )


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir())


def _unreadable(
    name: str, kind: Literal["audit", "training", "evaluation"], path: Path, error: UserError
) -> Entry:
    return Entry(name, kind, _iso(path.stat().st_mtime), "unreadable", str(error))


def _date(said: str, path: Path) -> str:
    """A date in UTC; of a file whose date is none, when it was written."""
    try:
        return _iso(datetime.fromisoformat(said).timestamp())
    except (ValueError, OverflowError):
        return _iso(path.stat().st_mtime)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
