"""`asr gate`, and what the core install alone can do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from asr_gate.audit.records.report import SCHEMA_VERSION, Report
from tests.e2e.asr import asr_here, asr_without, one_line, report_in
from tests.speech import PROCEED, STOP


def copy(audited: Path, name: str, folder: Path, **changes: Any) -> Path:
    """A copy of an audit whose report says something else and whose digest fits."""
    target = folder / "reports" / name
    shutil.copytree(audited / "reports" / name, target)
    if changes:
        report = Report.model_validate(report_in(target) | changes)
        (target / "alignment_report.json").write_bytes(report.sealed().to_bytes())
    return target


@pytest.mark.parametrize(
    ("decision", "options", "code"),
    [
        ("PROCEED", [], 0),
        ("CAUTION", [], 10),
        ("CAUTION", ["--accept-caution"], 0),
        ("STOP", [], 20),
        ("STOP", ["--accept-caution"], 20),
        ("NO_VERDICT", [], 30),
        ("NO_VERDICT", ["--accept-caution"], 30),
    ],
)
def test_the_verdict_is_the_exit_code(
    decision: str, options: list[str], code: int, audited: Path, tmp_path: Path
) -> None:
    folder = copy(audited, "proceed", tmp_path, decision=decision)
    done = asr_here("gate", folder, *options, cwd=tmp_path)
    assert done.returncode == code
    said = done.stdout if code == 0 else one_line(done)
    assert (decision if code != 30 else "no verdict") in said
    plain = asr_here("gate", folder, *options, "--json", cwd=tmp_path)
    assert plain.returncode == code
    verdict = json.loads(plain.stdout)
    assert (verdict["decision"], verdict["exit_code"]) == (decision, code)
    assert verdict["admitted"] == (code == 0)


def test_the_newest_report_is_read_without_a_name(audited: Path, tmp_path: Path) -> None:
    copy(audited, "stop", tmp_path, created_at="2026-02-01T00:00:00+00:00")
    copy(audited, "proceed", tmp_path, created_at="2026-01-01T00:00:00+00:00")
    done = asr_here("gate", cwd=tmp_path)
    assert done.returncode == 20
    assert "reports/stop" in one_line(done)


def test_data_is_checked(audited: Path) -> None:
    report = audited / "reports" / "proceed"
    assert asr_here("gate", report, "--data", PROCEED, cwd=audited).returncode == 0
    foreign = asr_here("gate", report, "--data", STOP, cwd=audited)
    assert foreign.returncode == 30
    assert "made for other data" in one_line(foreign)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace('"PROCEED"', '"CAUTION"', 1), "altered"),
        (lambda text: text.replace('"total_samples": 105', '"total_samples": 106'), "altered"),
        (lambda text: text[: len(text) // 2], "not a report that can be read"),
        (lambda text: "[1, 2]", "schema version"),
        (
            lambda text: text.replace(
                f'"schema_version": "{SCHEMA_VERSION}"', '"schema_version": "3"'
            ),
            "schema",
        ),
        (lambda text: text.replace('"total_samples"', '"total"'), "not a report"),
    ],
)
def test_an_altered_report_is_no_verdict(
    change: Any, says: str, audited: Path, tmp_path: Path
) -> None:
    path = copy(audited, "proceed", tmp_path) / "alignment_report.json"
    changed = change(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    done = asr_here("gate", path, cwd=tmp_path)
    assert done.returncode == 30
    assert says in one_line(done)


def test_an_altered_table_is_no_verdict_and_a_missing_one_no_fault(
    audited: Path, tmp_path: Path
) -> None:
    folder = copy(audited, "proceed", tmp_path)
    (folder / "words.parquet").unlink()
    assert asr_here("gate", folder, cwd=tmp_path).returncode == 0
    with (folder / "utterances.parquet").open("ab") as table:
        table.write(b"x")
    done = asr_here("gate", folder, cwd=tmp_path)
    assert done.returncode == 30
    assert "utterances.parquet: altered" in one_line(done)


def test_no_report_is_no_verdict(tmp_path: Path) -> None:
    for arguments in ([], ["reports/phase0"]):
        done = asr_here("gate", *arguments, cwd=tmp_path)
        assert done.returncode == 30
        assert "asr audit" in one_line(done)


def test_help_and_gate_load_no_torch(audited: Path) -> None:
    heavy = {"torch", "numpy", "pyarrow", "transformers", "wandb"}
    for arguments in (["--help"], ["gate", "reports/proceed", "--data", PROCEED]):
        done = asr_without(heavy, *arguments, cwd=audited)
        assert done.returncode == 0, done.stderr
