"""Admission: which decisions let training start."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from asr_gate.audit.gate import CautionNotAccepted, NoVerdict, Stopped, authorise, read_report
from asr_gate.audit.records.report import Decision, Report
from tests.train.support import write_report

OUTCOME: dict[tuple[Decision, bool], int] = {
    ("PROCEED", False): 0,
    ("PROCEED", True): 0,
    ("CAUTION", False): 10,
    ("CAUTION", True): 0,
    ("STOP", False): 20,
    ("STOP", True): 20,
    ("NO_VERDICT", False): 30,
    ("NO_VERDICT", True): 30,
}
REFUSALS = {10: CautionNotAccepted, 20: Stopped, 30: NoVerdict}


def report_with(decision: Decision, manifest: Path, folder: Path) -> Report:
    return read_report(write_report(folder, manifest, decision))


def test_every_decision_has_an_outcome() -> None:
    assert {decision for decision, _ in OUTCOME} == set(get_args(Decision))


@pytest.mark.parametrize(("decision", "accept"), OUTCOME)
def test_a_decision_has_its_exit_code(
    decision: Decision, accept: bool, manifest: Path, tmp_path: Path
) -> None:
    report = report_with(decision, manifest, tmp_path)
    code = OUTCOME[decision, accept]
    if code == 0:
        authorise(report, "reports/phase0", accept_caution=accept)
        return
    with pytest.raises(REFUSALS[code]) as refusal:
        authorise(report, "reports/phase0", accept_caution=accept)
    assert refusal.value.exit_code == code
    assert str(refusal.value).startswith("reports/phase0: ")
    assert report.reasons[0] in str(refusal.value)
    assert "\n" not in str(refusal.value)
