"""The policy switches rules off and weighs them; what it does not name stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.audit.checks import run_rules
from asr_gate.audit.policy import doubts, load_policy, origins
from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.audit.records.rules import catalogue
from asr_gate.corpus.errors import UserError
from tests.audit.checks.test_rules import GOOD, but, context, goods, with_words
from tests.audit.controls.rows import SIGNAL


def policy_of(folder: Path, rules: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(f"[rules]\n{rules}\n")
    return path


def test_without_a_word_every_rule_has_its_own_severity() -> None:
    assert load_policy().rules == {c: rule.severity for c, rule in catalogue().items()}


def test_a_policy_weighs_rules_and_switches_them_off(tmp_path: Path) -> None:
    policy = load_policy(policy_of(tmp_path, 'A005 = "error"\nS004 = "off"\nD003 = "info"'))
    bad = but(
        GOOD,
        id="bad",
        words=with_words(spoken={1: 0.1}),
        letters=40,
        signal=replace(SIGNAL, clipped=0.5),
    )
    rows = [*goods(), bad]
    usual = context(rows)
    assert [(f.code, f.severity) for f in run_rules(rows, usual)] == [
        ("A005", "warning"),
        ("D003", "error"),
        ("S004", "warning"),
    ]
    changed = replace(usual, policy=policy)
    findings = list(run_rules(rows, changed))
    assert [(f.code, f.severity) for f in findings] == [("A005", "error"), ("D003", "info")]
    assert excluded_ids(findings) == {"bad"}
    assert [f.code for f in run_rules(rows, usual, errors_only=True)] == ["D003"]
    assert [f.code for f in run_rules(rows, changed, errors_only=True)] == ["A005"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ('X999 = "off"', r"rules: there is no rule X999.* \(asr rules lists them\)"),
        ('a005 = "off"', "there is no rule a005"),
        ('text-mark = "off"', "the nearest is text-markup"),
        ('T008 = "off"\ntext-markup = "error"', "T008 is there twice"),
        ('A005 = "fatal"', "rules.A005: "),
        ("A005 = 1", "rules.A005: "),
        ("A005 = { severity = 'off' }", "rules.A005: "),
    ],
)
def test_what_is_no_rule_or_no_severity_is_named(rules: str, says: str, tmp_path: Path) -> None:
    path = policy_of(tmp_path, rules)
    with pytest.raises(UserError, match=says) as caught:
        load_policy(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rule_may_be_named(tmp_path: Path) -> None:
    path = policy_of(tmp_path, 'text-markup = "error"')
    assert load_policy(path).rules["T008"] == "error"
    assert ("rules.T008", "error", True) in origins(load_policy(path), path)


def test_a_share_in_place_of_a_percentage_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        "[decision]\nproceed_below = 0.05\nskipped_stop_above = 0\nstop_above = 1.0\n"
        "confidence = 0.9\ndomains = { calls = 0.2 }\n"
    )
    load_policy(path)
    first, second = doubts(path)
    assert "decision.proceed_below = 0.05" in first and "write 5" in first
    assert "decision.domains.calls" in second
    path.write_text("[decision]\nproceed_below = 5\n")
    assert doubts(path) == []


def test_rules_that_are_no_table_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('rules = "off"\n')
    with pytest.raises(UserError, match="rules"):
        load_policy(path)
