"""The report: schema, write, read, verify, render."""

from audit.report.read import (
    LINK_FILE,
    REPORT_FILE,
    SIGNATURE_FILE,
    NoVerdict,
    check_tables,
    condemned,
    find_latest,
    read_report,
)
from audit.report.schema import Report

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
