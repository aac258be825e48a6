"""How long a browser needs to open `report.html` with 5,000 findings.

Run: python -m bench.opening; needs Debian's chromium.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import tempfile
import textwrap
from itertools import islice
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, sync_playwright

import asr_gate
from asr_gate.audit.policy import load_policy
from asr_gate.audit.report.clips import clips
from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.report.page import FOLDER, PAGE_FILE, page, placed
from asr_gate.audit.review.page_file import content_of
from asr_gate.corpus.read import read_corpus
from bench.docs import replace_figures
from bench.needed import Missing

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "audit" / "example" / "stop.jsonl"
PAGE = ROOT / "docs" / "report.md"
ROWS = 5000
OPENED = 7
"""Times; the median counts."""

_WATCH = """
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (entry.name === "first-contentful-paint") window.painted = entry.startTime;
}).observe({type: "paint", buffered: true});
const look = () => {
  if (document.querySelector("#list [aria-selected=true]")) window.listed = performance.now();
  else requestAnimationFrame(look);
};
look();
"""
"""Runs before the page does. Times count from the start of the navigation."""


def write(folder: Path) -> Path:
    """The page of the bundled bad corpus, with its rows as often as make 5,000."""
    report = asr_gate.audit_corpus(CORPUS, out=folder, fraction=1.0, page_audio=False)
    limits = load_policy().report
    content = content_of(report, Data([str(CORPUS)]), ROWS)
    rows = content["rows"]
    many = [{**rows[n % len(rows)], "id": f"{rows[n % len(rows)]['id']}-{n}"} for n in range(ROWS)]
    wanted = {row["id"] for row in rows}
    known = dict(clips([u for u in read_corpus([str(CORPUS)]).utterances if u.id in wanted]))
    heard = [(row["id"], known[i]) for row in many if (i := row["id"].rpartition("-")[0]) in known]
    content["rows"] = many
    first = list(islice(heard, limits.clips))
    sounds, files = placed(content, first, round(limits.inline_megabytes * 1_000_000))
    (folder / FOLDER).mkdir()
    for name, sound in files.items():
        (folder / FOLDER / name).write_bytes(sound)
    path = folder / PAGE_FILE
    path.write_bytes(page({**content, "sounds": sounds}, "5,000 findings")[0])
    return path


def opened(browser: Browser, path: Path) -> dict[str, float]:
    """Seconds from the start of the navigation to the first text and to the list, and processor
    time of the page's thread until then.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    session = context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _thread(session)
    tab.add_init_script(_WATCH)
    tab.goto(path.as_uri())
    tab.wait_for_function("window.painted && window.listed")
    work = _thread(session) - before
    painted, listed = tab.evaluate("[window.painted, window.listed]")
    context.close()
    return {"text": painted / 1000, "list": listed / 1000, "work": work}


def _thread(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    seconds: float = next(one["value"] for one in metrics if one["name"] == "ThreadTime")
    return seconds


def _machine() -> str:
    """What it ran on: `AMD EPYC, 2 cores`."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    """Write the page, open it several times, and put the figures into the documentation."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise Missing("chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        path = write(Path(place))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tries = [opened(browser, path) for _ in range(OPENED)]
        times = {name: [one[name] for one in tries] for name in tries[0]}
        version = browser.version
        browser.close()
        size = path.stat().st_size / 1_000_000
    seconds = {name: f"{statistics.median(times):.2f} s" for name, times in times.items()}
    text = (
        f"A page with {ROWS:,} findings ({size:.0f} MB) costs the browser {seconds['work']} of "
        f"processor time, from the start of the navigation until its list is there. By the clock "
        f"that was {seconds['list']}, and {seconds['text']} until its first text, on {_machine()} "
        f"with a load of {os.getloadavg()[0]:.0f}. Medians of {OPENED} times from disk, in "
        f"Chromium {version.partition('.')[0]} (`python -m bench.opening`)."
    )
    print(text)
    replace_figures(PAGE, "opening", textwrap.fill(text, 100) + "\n")


if __name__ == "__main__":
    main()
