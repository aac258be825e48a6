"""The table of rules in `docs/report.md`, remade from the rules' pages.

Run: python -m bench.rules
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGES = Path("audit", "checks", "pages")
HEAD = re.compile(r"# (\w+) (\S+)\n\nSeverity: (\w+)\. (.+)\.\n")


def main() -> None:
    """Write the table."""
    lines = ["| code | name | severity | what it finds |\n", "|---|---|---|---|\n"]
    for page in sorted((ROOT / PAGES).glob("*.md")):
        head = HEAD.match(page.read_text(encoding="utf-8"))
        if head is None:
            raise ValueError(f"{page}: has another head than the other pages")
        code, name, severity, summary = head.groups()
        link = f"../{(PAGES / page.name).as_posix()}"
        lines.append(f"| {code} | {name} | {severity} | [{summary}]({link}) |\n")
    replace_figures(ROOT / "docs" / "report.md", "rules", "".join(lines))


if __name__ == "__main__":
    main()
