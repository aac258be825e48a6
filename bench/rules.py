"""The table of rules in docs/report.md, from the rules' pages.

Run: python -m bench.rules
"""

from __future__ import annotations

from pathlib import Path

from asr_gate.audit.records.rules import catalogue
from bench.docs import replace_figures

PAGE = Path(__file__).parents[1] / "docs" / "report.md"


def table() -> str:
    """Code, name, severity and summary of every rule, each with a link to its page."""
    lines = ["| code | name | severity | what it finds |", "|---|---|---|---|"]
    for code, rule in catalogue().items():
        summary = rule.summary[0].lower() + rule.summary[1:].rstrip(".")
        link = f"[{summary}](../audit/checks/pages/{code}.md)"
        lines.append(f"| {code} | {rule.name} | {rule.severity} | {link} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    replace_figures(PAGE, "rules", table())


if __name__ == "__main__":
    main()
