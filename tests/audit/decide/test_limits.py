"""What an audit cannot tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.times import Delay
from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.controls.untold import false_alarms_by_domain, untold
from asr_gate.audit.decide.limits import no_verdict, undetectable
from asr_gate.audit.decide.verdict import Verdict
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.records.controls import THRESHOLD_KINDS
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.audit.records.power import Calibration
from tests.audit.controls.rows import FLOORS, POLICY, RATE, normal_rows

MODEL = ModelInfo("m", "r", "0", "en", ("-", "a"), 0, None, 0.02, 16000, 0.0)


def calibrated(rows: list[Measured]) -> Calibration:
    return calibrate(rows, false_alarm=RATE, floors=FLOORS)


def verdict_on(rows: list[Measured], unsampled: int = 0) -> Verdict | None:
    calibration = calibrated(rows)
    alarms = false_alarms_by_domain(rows, calibration)
    unclear = untold(calibration, alarms, POLICY.controls)
    sample = JudgedSample(
        [Judged(row) for row in rows], [], calibration, {}, alarms, unclear,
        Delay(0.0, 0.0, False),
    )  # fmt: skip
    populations = dict(Counter(row.domain for row in rows))
    populations[rows[0].domain] += unsampled
    return no_verdict(sample, populations, POLICY, MODEL)


def test_a_model_that_cannot_tell_texts_apart_is_unfit() -> None:
    apart = dict.fromkeys(THRESHOLD_KINDS, 8.0) | {"swapped": 0.5}
    rows = normal_rows(100, 0, apart=apart) + normal_rows(60, 1, domain="other")
    found = calibrated(rows).power["d"]["swapped"].detected
    verdict = verdict_on(rows)
    assert verdict is not None
    assert verdict.decision == "NO_VERDICT"
    (reason,) = verdict.reasons
    assert f"domain d: of the transcripts swapped there, {found} of 100" in reason
    assert "controls.min_power_swapped" in reason
    assert "decision.untold_no_verdict_above" in reason
    assert "--aligner" in reason
    assert "domain other" not in reason
    assert verdict_on(normal_rows(100, 0)) is None


def test_a_small_domain_that_cannot_be_told_is_no_reason_for_no_verdict() -> None:
    weak = normal_rows(600, 0, domain="weak", apart=0.0)
    rows = [*weak, *normal_rows(600, 1, domain="clear")]
    calibration = calibrated(rows)
    assert set(calibration.underpowered["weak"]) == set(THRESHOLD_KINDS)
    assert verdict_on(rows) is None, "half of the corpus"
    assert verdict_on(rows, unsampled=1) is not None


def test_what_cannot_be_detected_is_said() -> None:
    calibration = calibrated(
        normal_rows(300, 0, apart=dict.fromkeys(THRESHOLD_KINDS, 8.0) | {"replaced": 0.0})
    )
    (note,) = undetectable(
        calibration, POLICY.controls, {"d": frozenset({"coverage", "confidence"})}
    )
    assert note.startswith("cannot detect replaced words: ")
    assert "of 300 planted ones were found, under 50% (controls.min_power)" in note
    (note,) = undetectable(
        calibrated(normal_rows(100, 0)), POLICY.controls, {"d": frozenset({"coverage"})}
    )
    assert note.startswith("quality.min_confidence is not in force: ")
    notes = undetectable(
        calibrated(normal_rows(5, 0)),
        POLICY.controls,
        {"d": frozenset({"coverage", "confidence"})},
    )
    assert notes == [note for note in notes if note.startswith("too few utterances to plant")]
    assert "inserted words" in notes[0]


def in_hebrew(row: Measured) -> Measured:
    return replace(
        row, id=f"he-{row.id}", lang="he", text="שלום לכולם", letters=9, unknown=9, words=(),
        gaps=(), fault=Fault("T002", "no letter is known"),
    )  # fmt: skip


@pytest.mark.parametrize(("hebrew", "unread"), [(80, True), (25, True), (20, False), (0, False)])
def test_texts_in_another_alphabet_are_no_verdict(hebrew: int, unread: bool) -> None:
    rows = normal_rows(100, 0)
    verdict = verdict_on([in_hebrew(r) for r in rows[:hebrew]] + rows[hebrew:])
    assert (verdict is not None) == unread
    if verdict is not None:
        (reason,) = verdict.reasons
        assert verdict.decision == "NO_VERDICT"
        assert "Latin" in reason
        assert "Hebrew" in reason
        assert "--aligner mms --language he" in reason
        assert "--romanize --language he" in reason
        assert "decision.max_unalignable" in reason


def test_few_rows_are_no_verdict_unless_they_are_all() -> None:
    rows = normal_rows(12, 0)
    assert verdict_on(rows) is None
    few = verdict_on(rows, unsampled=1)
    assert few is not None
    assert "decision.min_sampled" in few.reasons[0]


@pytest.mark.parametrize("count", [0, 4])
def test_few_planted_defects_are_no_reason_for_no_verdict(count: int) -> None:
    rows = normal_rows(60, 0, per_kind=count)
    assert verdict_on([replace(row, text=f"text {n}") for n, row in enumerate(rows)]) is None
