"""What documents say of the code is true."""

from __future__ import annotations

import re

from asr_gate.audit.records.report import Report
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.schemas import GAPS, UTTERANCES, WORDS
from bench.rules import table
from bench.settings import tables
from tests.speech import ROOT

PAGE = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")


def test_the_table_of_rules_is_the_pages() -> None:
    assert f"<!-- rules -->\n{table()}<!-- /rules -->" in PAGE


def test_the_tables_of_settings_are_the_types() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"<!-- settings -->\n{tables()}<!-- /settings -->" in page


def test_every_field_of_the_report_stands_in_it() -> None:
    fields = set(re.findall(r"`(\w+)(?:[{\[][^`]*)?`", PAGE))
    assert set(Report.model_fields) <= fields


def test_every_column_of_the_tables_stands_in_it() -> None:
    for schema in (UTTERANCES, WORDS, GAPS):
        assert f"`{', '.join(schema.names)}`" in PAGE.replace(",\n", ", ")


def test_pages_of_rules_have_the_same_headings_and_are_linked() -> None:
    for code, rule in catalogue().items():
        assert [line for line in rule.page.splitlines() if line.startswith("## ")] == [
            "## What it finds",
            "## Why it matters",
            "## Example",
            "## Fix",
            "## What it may get wrong",
        ]
        assert f"(../audit/checks/pages/{code}.md)" in PAGE, "no way leads to it"
