"""What documents say of the code is true."""

from __future__ import annotations

import re

from asr_gate.audit.checks import RULES
from asr_gate.audit.records.report import Report
from asr_gate.audit.report.write import GAPS, UTTERANCES, WORDS
from tests.speech import ROOT

PAGE = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")


def test_every_rule_stands_in_the_report_page() -> None:
    rows = re.findall(r"^\| ([A-Z]\d{3}) \| (\S+) \| (\w+) \|", PAGE, re.MULTILINE)
    assert rows == [(rule.code, rule.name, rule.severity) for rule in RULES]


def test_every_field_of_the_report_stands_in_it() -> None:
    fields = set(re.findall(r"`(\w+)(?:[{\[][^`]*)?`", PAGE))
    assert set(Report.model_fields) <= fields


def test_every_column_of_the_tables_stands_in_it() -> None:
    for table in (UTTERANCES, WORDS, GAPS):
        assert f"`{', '.join(table.names)}`" in PAGE.replace(",\n", ", ")


def test_pages_of_rules_have_the_same_headings_and_are_linked() -> None:
    pages = sorted((ROOT / "audit" / "checks" / "pages").glob("*.md"))
    assert [page.stem for page in pages] == [rule.code for rule in RULES]
    names = {rule.code: rule.name for rule in RULES}
    for page in pages:
        lines = page.read_text(encoding="utf-8").splitlines()
        assert lines[0] == f"# {page.stem}: {names[page.stem]}"
        assert [line for line in lines if line.startswith("## ")] == [
            "## What it finds",
            "## Why it matters",
            "## Example",
            "## How to mend it",
            "## What it may get wrong",
        ]
        assert f"(../audit/checks/pages/{page.name})" in PAGE, "no way leads to it"


def test_every_rule_says_what_to_do() -> None:
    assert all(rule.fix.endswith(".") for rule in RULES)
