"""The report: schema, write, read, verify, render."""

from asr_gate.audit.report.read import (
    LINK_FILE,
    REPORT_FILE,
    SIGNATURE_FILE,
    NoVerdict,
    check_tables,
    condemned,
    find_latest,
    read_report,
)
from asr_gate.audit.report.schema import Report

__all__ = [
    "LINK_FILE",
    "REPORT_FILE",
    "SIGNATURE_FILE",
    "NoVerdict",
    "Report",
    "check_tables",
    "condemned",
    "find_latest",
    "read_report",
]
