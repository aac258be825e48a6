"""What documents say of the code is true."""

from __future__ import annotations

import re

from audit.checks import RULES
from audit.report.schema import Report
from audit.report.write import GAPS, UTTERANCES, WORDS
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
