"""The picture of a report in the README: `python -m bench.picture`; needs Debian's chromium."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import asr_gate

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "report.png"


def main() -> None:
    """Audit the bundled corpus, open its page, choose a bad row, and take the picture."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        corpus = ROOT / "audit" / "example" / "proceed.jsonl"
        report = asr_gate.audit_corpus(corpus, out=folder, fraction=1.0)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        tab.goto(report.path.with_name("report.html").as_uri())
        tab.locator("#list").focus()
        tab.keyboard.press("j")
        tab.locator("#review-title").scroll_into_view_if_needed()
        tab.wait_for_timeout(500)
        tab.evaluate("document.getElementById('review').scrollIntoView()")
        tab.screenshot(path=PICTURE)
        browser.close()
    print(PICTURE)


if __name__ == "__main__":
    main()
