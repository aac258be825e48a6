"""What must hold before anything is trained: a report, its decision, and the data it speaks of.

Nothing here imports torch or transformers, so that a refusal costs no time.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_gate.audit.gate import NoVerdict, authorise, find_latest, require_same_data, verify
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.excluded import excluded
from asr_gate.audit.records.report import LINK_FILE, REPORT_FILE, Report
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus
from asr_gate.tracking import TrackingError

REPORTS = Path("reports")
"""Where the latest audit is looked for."""

WANDB = "wandb:"


@dataclass(frozen=True)
class Clearance:
    """Training may start: on this corpus, less the condemned rows, by this report."""

    report: Report
    name: str
    """The report's path or W&B reference, for messages."""
    artifact: str
    """The audit's W&B artifact: `wandb:ENTITY/PROJECT/phase0-audit-report:proceed`; without the
    address where the audit noted none."""
    corpus: Corpus
    condemned: frozenset[str]

    def run_config(self) -> dict[str, Any]:
        """`phase0.*` of the training run's config."""
        report = self.report
        return {
            "phase0": {
                "decision": report.decision,
                "low_quality_percentage": report.low_quality_percentage,
                "mean_coverage": report.coverage_distribution.mean,
                "digest": report.digest,
                "dataset_fingerprint": report.dataset.fingerprint,
                "artifact": self.artifact,
            }
        }


def clear(
    report: str | None,
    data: Sequence[str | Path],
    *,
    audio_root: Path | None = None,
    split: str | None = None,
    accept_caution: bool = False,
    policy: Path | None = None,
    verify_key: Path | None = None,
) -> Clearance:
    """Verify the report, then its decision, then that it is about `data`.

    Args:
        report: `alignment_report.json`, its folder, or `wandb:ENTITY/PROJECT/NAME:ALIAS`; None:
            the latest audit under `reports/`.
        data: manifests to train on.
        audio_root: as given to the audit; see `corpus.read.read_corpus`.
        split: likewise.
        accept_caution: whether CAUTION passes.
        policy: file of the policy under which the report must have been judged.
        verify_key: public key that must have signed it.

    Raises:
        NoVerdict: no report, one that is altered, stale or not signed as asked, or one about other
            data (exit code 30).
        Stopped: the decision is STOP (20).
        CautionNotAccepted: it is CAUTION and was not accepted (10).
        UserError: a manifest cannot be read, or the download from W&B failed (2).
    """
    asked = load_policy(policy) if policy else None
    if report is not None and report.startswith(WANDB):
        with tempfile.TemporaryDirectory(prefix="asr-report-") as folder:
            path = _download(report, Path(folder))
            found = verify(path, report, policy=asked, verify_key=verify_key)
            return _clear(found, path, report, data, audio_root, split, accept_caution)
    if report is None:
        path = find_latest(REPORTS)
    else:
        path = Path(report)
        if path.is_dir():
            path = path / REPORT_FILE
    if not path.is_file():
        manifests = " ".join(map(str, data)) or "MANIFEST"
        raise NoVerdict(f"{path}: no such report; make one with: asr audit {manifests}")
    found = verify(path, str(path), policy=asked, verify_key=verify_key)
    return _clear(found, path, str(path), data, audio_root, split, accept_caution)


def _clear(
    report: Report,
    path: Path,
    name: str,
    data: Sequence[str | Path],
    audio_root: Path | None,
    split: str | None,
    accept_caution: bool,
) -> Clearance:
    authorise(report, name, accept_caution=accept_caution)
    corpus = read_corpus(data, audio_root=audio_root, split=split)
    require_same_data(report, name, corpus, path.parent)
    return Clearance(
        report=report,
        name=name,
        artifact=name if name.startswith(WANDB) else _logged_as(report, path.parent),
        corpus=corpus,
        condemned=frozenset(excluded(report)),
    )


def _logged_as(report: Report, folder: Path) -> str:
    """Where the audit's artifact went, if the audit noted it; else its name and alias."""
    try:
        note = json.loads((folder / LINK_FILE).read_text(encoding="utf-8"))
        return str(note["artifact"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"phase0-audit-report:{report.decision.lower()}"


def _download(reference: str, folder: Path) -> Path:
    """Fetch an audit's artifact from W&B; returns the report's path inside `folder`."""
    artifact = reference.removeprefix(WANDB)
    if not re.fullmatch(r"[^/:\s]+/[^/:\s]+/[^/:\s]+:[^/:\s]+", artifact):
        raise UserError(f"{reference}: a report on W&B reads wandb:ENTITY/PROJECT/NAME:ALIAS")
    from asr_gate.tracking.wandb_server import download

    try:
        found = download(artifact, folder)
    except TrackingError as error:
        raise UserError(
            f"{reference}: cannot be downloaded ({error}), or name a report on this disk"
        ) from error
    if not found:
        raise NoVerdict(
            f"{reference}: W&B has no such report; audit with --wandb, or mend the name"
        )
    path = folder / REPORT_FILE
    if not path.is_file():
        raise NoVerdict(f"{reference}: the artifact holds no {REPORT_FILE}; audit again")
    return path
