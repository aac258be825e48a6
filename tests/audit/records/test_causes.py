"""One cause a row: the finding that explains the others."""

from __future__ import annotations

import random

import pytest

from asr_gate.audit.records.causes import CAUSES, OTHER, cause_of, strongest_first
from asr_gate.audit.records.rules import catalogue
from tests.audit.report.reports import finding


def test_every_rule_speaks_of_one_cause() -> None:
    codes = [code for cause in CAUSES for code in cause.codes]
    assert sorted(codes) == list(catalogue()), "enter it in CAUSES"
    assert cause_of("X999") is OTHER


@pytest.mark.parametrize(
    ("codes", "cause"),
    [
        ("A001 A007 A009", "A009"),
        ("A001 A003 A008 D003", "A008"),
        ("A001 T003 T008", "T008"),
        ("A008 T008", "A008"),
        ("A001 A008 T010", "T010"),
        ("S003 S009", "S003"),
        ("A005 D004 S005", "A005"),
        ("A001 D001", "A001"),
        ("A006 S004", "A006"),
        ("D006 X999", "D006"),
    ],
)
def test_the_strongest_explanation_is_the_cause(codes: str, cause: str) -> None:
    errors = ("A001", "A003", "A008", "A009", "D003", "S003")
    notes = ("D006", "X999")
    found = [
        finding(
            code=code,
            severity="error" if code in errors else "info" if code in notes else "warning",
        )
        for code in codes.split()
    ]
    for seed in range(3):
        random.Random(seed).shuffle(found)
        assert strongest_first(found)[0].code == cause


def test_what_does_not_count_explains_nothing() -> None:
    found = [finding(code="A009", counts=False), finding(code="A001")]
    assert [f.code for f in strongest_first(found)] == ["A001", "A009"]


def test_the_policy_s_errors_come_before_its_warnings() -> None:
    found = [finding(code="A005", severity="warning"), finding(code="D004")]
    assert strongest_first(found)[0].code == "D004"
