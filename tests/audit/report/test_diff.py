"""What changed from one report to another."""

from __future__ import annotations

from asr_gate.audit.report.diff import QualityChange, Row, RuleChange, Side, diff
from asr_gate.corpus.fingerprint import RowDigest
from tests.audit.report.reports import finding, report_of, sound

ROW = RowDigest("a", "s", "t", "l")
BEFORE = Side(
    report_of(finding("u1"), finding("u2"), finding("u2"), finding("u3", "T001"), decision="STOP"),
    {"u1": ROW, "u2": ROW, "u3": ROW, "gone": ROW},
    {"u1": 0.2, "u2": 0.3, "u3": 0.9, "gone": 0.1},
)
AFTER = Side(
    report_of(finding("u2"), finding("u3", "A002")),
    {"u1": RowDigest("a", "s", "other", "l"), "u2": ROW, "u3": ROW, "new": ROW},
    {"u1": 0.95, "u2": 0.32, "u3": 0.5, "new": 0.1},
)


def test_it_says_what_changed() -> None:
    found = diff(BEFORE, AFTER)
    assert (found.a.decision, found.b.decision) == ("STOP", "PROCEED")
    assert found.settings == []
    assert found.rows == [Row("gone", "removed"), Row("new", "added"), Row("u1", "text changed")]
    assert found.rules == {
        "A001": RuleChange(3, 1, ["u1"], []),
        "A002": RuleChange(0, 1, [], ["u3"]),
        "T001": RuleChange(1, 0, ["u3"], []),
    }
    assert found.better == [QualityChange("u1", 0.2, 0.95, "text changed")]
    assert found.worse == [QualityChange("u3", 0.9, 0.5, "")]


def test_the_same_report_has_no_changes() -> None:
    found = diff(BEFORE, BEFORE)
    assert found.a == found.b
    assert (found.rows, found.better, found.worse, found.settings) == ([], [], [], [])
    assert not any(change.gone or change.new for change in found.rules.values())


def test_without_digests_of_rows_it_says_so() -> None:
    assert diff(BEFORE, Side(AFTER.report, None, {})).rows is None


def test_other_settings_are_named() -> None:
    sampling = sound().sampling.model_copy(update={"seed": 1, "fraction": 0.5})
    other = Side(report_of(sampling=sampling, policy={}), {}, {})
    assert diff(BEFORE, other).settings == ["policy", "seed", "fraction"]
