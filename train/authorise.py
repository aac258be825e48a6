"""Training needs a verified report that allows it, about the very data that is trained on.

This is the only file of `train` that knows `audit`. It imports neither torch nor transformers, so
that a refusal is quick.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_gate.audit.gate import (
    LEAKS,
    WANDB,
    CautionNotAccepted,
    NoVerdict,
    Stopped,
    authorise,
    downloaded,
    find_latest,
    find_leaks,
    require_same_data,
    same_manifests,
    verify,
)
from asr_gate.audit.gate.remote import on_disk
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.excluded import excluded
from asr_gate.audit.records.report import REPORT_FILE, Report
from asr_gate.audit.report.artifact import (
    ARTIFACT,
    artifact_description,
    artifact_files,
    read_logged,
)
from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.mirror import named
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus, Utterance
from asr_gate.train.record import Phase0

REPORTS = Path("reports")
"""Folder of the audits, whose latest is used unless one is named."""

REFUSALS = (NoVerdict, Stopped, CautionNotAccepted)
"""What is raised where the gate refuses a training."""


@dataclass(frozen=True)
class Authorisation:
    """Training may start: on this corpus, less the excluded rows, because of this report."""

    report: Report
    name: str
    """Path or W&B reference of the report, for messages."""
    artifact: str
    """The audit's W&B artifact: `wandb:ENTITY/PROJECT/phase0-audit-report:proceed`; without the
    address if the audit did not record one."""
    folder: Path | None
    """Where the report lies; None: it was downloaded, and its artifact is on W&B."""
    corpus: Corpus
    excluded: frozenset[str]
    """Ids of the rows that the audit excluded."""
    audio: AuditedAudio
    """What is decoded must be this."""

    def to_log(self) -> dict[str, Any] | None:
        """What `Tracker.log_artifact` takes to log the report; None: its files are not here."""
        if self.folder is None:
            return None
        files = artifact_files(self.report, self.folder)
        return {"path": files, **artifact_description(self.report)}

    def phase0(self) -> Phase0:
        """The audit as the training run's record and config name it."""
        report = self.report
        return Phase0(
            decision=report.decision,
            low_quality_percentage=report.low_quality_percentage,
            mean_coverage=report.coverage_distribution.mean,
            digest=report.digest,
            dataset_fingerprint=report.dataset.fingerprint,
            artifact=self.artifact,
        )


def authorise_training(
    report: str | None,
    data: Sequence[str | Path],
    *,
    audio_root: Path | None = None,
    labels: Sequence[LabelRule] = (),
    reports: Path = REPORTS,
    accept_caution: bool = False,
    policy: Path | None = None,
    verify_key: Path | None = None,
) -> Authorisation:
    """Verify the report, then check its decision, then that it is about `data`.

    Args:
        report: `alignment_report.json`, its folder, or `wandb:ENTITY/PROJECT/NAME:ALIAS`; None:
            the latest audit of this data under `reports`, or else the latest of all.
        data: manifests to train on: those that were audited, or some of them.
        audio_root: as given to the audit; see `corpus.read.read_corpus`.
        labels: as given to the audit.
        reports: folder of the audits.
        accept_caution: allow CAUTION.
        policy: file with the policy that the audit must have used.
        verify_key: public key that must have signed the report.

    Raises:
        NoVerdict: no report; one that is altered, stale or not signed as required; or one about
            other data (exit code 30).
        Stopped: the decision is STOP (20).
        CautionNotAccepted: the decision is CAUTION and was not accepted (10).
        UserError: a manifest cannot be read, or the download from W&B failed (2).
    """
    required = load_policy(policy) if policy else None

    def checked(path: Path, name: str) -> Authorisation:
        found = verify(path, name, policy=required, verify_key=verify_key)

        def read() -> tuple[Corpus, Fingerprint]:
            split = found.dataset.split
            corpus = read_corpus(data, audio_root=audio_root, split=split, labels=labels)
            return corpus, require_same_data(
                found, name, corpus, path.parent, cached=False, part=True
            )

        # A report that nobody named may be about something else, and then decides nothing here.
        doubtful = report is None and not same_manifests(found.dataset.manifests, data)
        early = read() if doubtful else None
        authorise(found, name, accept_caution=accept_caution)
        corpus, now = early or read()
        return Authorisation(
            report=found,
            name=name,
            artifact=name if name.startswith(WANDB) else _artifact(found, path.parent),
            folder=None if name.startswith(WANDB) else path.parent,
            corpus=corpus,
            excluded=frozenset(excluded(found)),
            audio=AuditedAudio(now.sounds, now.audio),
        )

    if report is not None and report.startswith(WANDB):
        with downloaded(report) as file:
            return checked(file, report)
    path = report_path(report, reports, data)
    return checked(path, named(str(path)))


def report_path(report: str | None, reports: Path, data: Sequence[str | Path]) -> Path:
    """The file of a report that was named, or of the latest audit; arguments as above.

    Raises:
        NoVerdict: it is not there.
    """
    path = find_latest(reports, data) if report is None else on_disk(report)
    if report is not None and path.is_dir():
        path = path / REPORT_FILE
    if not path.is_file():
        manifests = " ".join(map(str, data)) or "MANIFEST"
        raise NoVerdict(f"{path}: no such report; make one with: asr audit {manifests}")
    return path


def require_fit_split(authorised: Authorisation, split: str) -> None:
    """Refuse a split that would be STOP by itself, whatever the corpus as a whole is.

    Raises:
        Stopped: the whole interval of its share of low quality lies above the policy's limit.
    """
    found = authorised.report.split_statistics.get(split)
    limit = authorised.report.policy.get("decision", {}).get("stop_above")
    if found and found.low is not None and limit is not None and found.low > limit:
        raise Stopped(
            f"{authorised.name}: STOP for split {split}: {found.low_quality_pct:.1f} % of it are "
            f"of low quality ({found.low:.1f}-{found.high:.1f} %), above {limit:g} % "
            "(decision.stop_above); clean it and audit again"
        )


def require_no_leaks(authorised: Authorisation, used: Collection[str]) -> None:
    """Refuse rows to train, evaluate or test on that stand in another split too.

    Args:
        authorised: the report that allows the run.
        used: ids of the rows.

    Raises:
        UserError: the audit found some; names the first.
    """
    leaks = [one for one in authorised.report.findings if one.code in LEAKS and one.id in used]
    if leaks:
        first = leaks[0]
        many = "1 row is" if len({one.id for one in leaks}) == 1 else f"{len(leaks)} rows are"
        raise UserError(
            f"{first.origin}: '{first.id}' {first.code}: {first.message}; {many} in more than one "
            "split, and the test would be too good; drop them with asr clean --drop D004,D005 and "
            "audit again, or train with --accept-leaks"
        )


def require_apart(
    authorised: Authorisation, used: Collection[str], own: Iterable[tuple[str, Utterance]]
) -> None:
    """Refuse manifests of their own that hold what the audited corpus, or one another, holds.

    The audit has not seen them, so the rules for leaks are run here.

    Args:
        authorised: the report that allows the run; its policy holds the rules' limits.
        used: ids of the audited rows that train, evaluate or test.
        own: the rows of `data.validation` and `data.test`, each with `validation` or `test`.

    Raises:
        UserError: a row stands in two of them; names the first.
    """
    ours = [row for row in authorised.corpus.utterances if row.id in used]
    rows = [replace(row, split="data") for row in ours]
    rows += [replace(row, split=name) for name, row in own]
    leaks = find_leaks(authorised.report, authorised.name, rows)
    if leaks:
        first, number = leaks[0], len({one.id for one in leaks})
        origin = next(row.origin for row in rows if row.id == first.id)
        many = "1 row is" if number == 1 else f"{number} rows are"
        raise UserError(
            f"{origin}: '{first.id}' {first.code}: {first.message}; {many} in data.validation or "
            "data.test too, and the result would be too good; take them out of one of the "
            "manifests (a part of the audited rows needs no new audit), or train with "
            "--accept-leaks"
        )


def _artifact(report: Report, folder: Path) -> str:
    """The address of the report's artifact, if it is noted beside it; else its name and alias."""
    logged = read_logged(folder)
    return logged.artifact if logged else f"{ARTIFACT}:{report.decision.lower()}"
