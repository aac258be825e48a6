"""Reports of a small sound corpus whose findings, or whatever else, are the test's own."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from asr_gate.audit.decide.verdict import RECOMMENDATIONS
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.controls import KINDS
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import SCHEMA_VERSION, Report, Skipped
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus

POWER = {
    "n": 20, "detected": 19, "power": 0.95, "low": 0.76, "high": 0.99, "false_alarm_rate": 0.0,
    "underpowered": False,
}  # fmt: skip
DOMAIN = {
    "count": 20, "population": 20, "low_quality_count": 0, "low_quality_pct": 0.0, "low": 0.0,
    "high": 0.0, "cannot_tell": None, "mean_coverage": 0.9, "median_coverage": 1.0,
    "mean_confidence": 0.9, "length_mismatch_pct": 0.0, "hours": 0.1, "low_quality_hours": None,
}  # fmt: skip


@cache
def sound() -> Report:
    """PROCEED on twenty utterances of one domain."""
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "decision": "PROCEED",
        "recommendation": RECOMMENDATIONS["PROCEED"],
        "reasons": ["0.0 % of the corpus is of low quality: below 10 % (decision.proceed_below)"],
        "total_samples": 20,
        "low_quality_count": 0,
        "low_quality_percentage": 0.0,
        "estimate": {
            "rate": 0.0, "low": 0.0, "high": 0.0, "confidence": 0.95, "method": "census",
            "judged": 1.0, "hours": None, "corrected": None,
        },
        "coverage_distribution": {
            "p10": 0.9, "p25": 0.9, "p50": 1.0, "p75": 1.0, "p90": 1.0, "mean": 0.9,
            "intervals": {},
        },
        "domain_statistics": {"d": DOMAIN},
        "rules": {},
        "findings": [],
        "controls": dict.fromkeys(KINDS, POWER),
        "domain_controls": {},
        "thresholds": {},
        "absolute_thresholds": {},
        "skipped": [],
        "dataset": {
            "fingerprint": "sha256:0", "fingerprint_audio": "full", "utterances": 20,
            "hours": 0.1, "manifests": ["corpus/train.jsonl"],
        },
        "sampling": {
            "seed": 0, "fraction": 1.0, "method": "census", "strata": {}, "sequential": None
        },
        "aligner": {
            "name": "m", "revision": "r", "weights_sha256": "0", "language": "en",
            "stride": 0.02, "delay": 0.0, "delay_measured": False,
        },
        "policy": load_policy().model_dump(mode="json"),
        "tables": {},
        "tool": {"version": "0", "git_commit": None},
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "digest": "",
        "seal": "",
    }  # fmt: skip
    return Report.model_validate(fields)


def report_of(*findings: Finding, **changes: Any) -> Report:
    """A report that verifies, with these findings; `manifests` are those of the dataset."""
    manifests = changes.pop("manifests", ["corpus/train.jsonl"])
    dataset = sound().dataset.model_copy(update={"manifests": manifests})
    told = {"findings": list(findings), "dataset": dataset, **changes}
    return sound().model_copy(update=told).sealed()


def finding(identity: str = "u1", code: str = "A001", **changes: Any) -> Finding:
    fields = {
        "id": identity,
        "code": code,
        "severity": "error",
        "message": "40% of the text is said",
        "origin": "train.jsonl:1",
        "domain": "d",
        "speaker": None,
        "split": None,
        "start": None,
        "end": None,
        "counts": True,
    }
    return Finding.model_validate(fields | changes)


def report_about(
    manifest: Path, folder: Path, *findings: Finding, split: str | None = None, **changes: Any
) -> Path:
    """A report of a corpus as it is, in a folder of its own."""
    corpus = read_corpus([manifest], split=split)
    found = fingerprint(corpus)
    dataset = sound().dataset.model_copy(
        update={
            "fingerprint": found.digest,
            "utterances": len(corpus.utterances),
            "manifests": [str(manifest)],
        }
    )
    skipped = [Skipped(id=s.id, origin=s.origin, reason=s.reason) for s in corpus.skipped]
    changes = {"total_samples": len(corpus.utterances), "skipped": skipped, **changes}
    report = report_of(*findings).model_copy(update={"dataset": dataset, **changes})
    return write_report(report.sealed(), folder)


def write_report(report: Report, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alignment_report.json").write_bytes(report.to_bytes())
    return folder
