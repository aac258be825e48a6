"""From STOP to PROCEED: a person listens, judges and corrects, and the audit believes it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.asr import asr_here, report_in
from tests.speech import BROKEN, PROCEED, STOP

SAID = {row["id"]: row["text"] for row in map(json.loads, PROCEED.read_text().splitlines())}
"""What is said in the bundled recordings."""
TYPED = ("clean-021", "noisy-028")
"""Rows whose text the person writes: one has none, and one has half of it."""
TRIMMED = {"long-025": ["f"], "clean-029": ["f", "ArrowRight", *["Shift+ArrowRight"] * 4]}
"""Rows whose text is of their beginning: the keys that lead to its end."""


def judge(tab: Page, identity: str) -> None:
    """What a person does with one row."""
    if identity in TYPED:
        tab.keyboard.press("3")
        tab.keyboard.type(SAID[identity])
        tab.keyboard.press("Enter")
    elif identity == "clean-001":
        expect(tab.locator("del").first).to_be_visible()
        tab.keyboard.press("p")
        expect(tab.get_by_label("What is said")).not_to_have_value(SAID[identity])
        tab.keyboard.press("Escape")
        tab.keyboard.press("1")
    elif identity in TRIMMED:
        for key in (*TRIMMED[identity], "]", "4"):
            tab.keyboard.press(key)
    else:
        tab.keyboard.press("2" if identity in BROKEN["stop.jsonl"]["broken"] else "1")


@pytest.mark.usefixtures("measured")
def test_from_stop_to_proceed_by_keyboard(tab: Page, audited: Path, tmp_path: Path) -> None:
    report = audited / "reports" / "stop"
    tab.goto((report / "report.html").as_uri())
    expect(tab.get_by_role("heading", name="STOP")).to_be_visible()
    chosen = tab.locator("#list [aria-selected=true]")
    rows = int(chosen.get_attribute("aria-setsize") or 0)
    for _ in range(rows):
        judge(tab, chosen.locator("bdi").inner_text())
        tab.keyboard.press("n")
    expect(tab.get_by_text("Every row that is listed has a verdict.")).to_be_visible()
    with tab.expect_download() as download:
        tab.keyboard.press("x")
    # The page says what comes next, but for where the browser put the file.
    said = tab.get_by_label("the command that corrects").inner_text()
    exported = download.value.path()
    given = Counter(json.loads(one)["verdict"] for one in exported.read_text().splitlines())
    assert (given.total(), given["trim"], given["correct"]) == (rows, len(TRIMMED), len(TYPED))

    # A corrected copy lies beside its corpus, and this one's is the project.
    corpus = shutil.copytree(STOP.parent, tmp_path / "corpus") / STOP.name
    names = {"review.jsonl": str(exported), str(STOP): str(corpus)}
    command = [names.get(word, word) for word in shlex.split(said)]
    done = asr_here(*command[1:], cwd=audited)
    assert done.returncode == 0, done.stderr
    assert "conflict" not in done.stdout
    following = next(line for line in done.stdout.splitlines() if "asr audit" in line)
    again = following[following.index("asr audit") :]
    done = asr_here(*shlex.split(again)[1:], "--no-wandb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    mended = report_in(tmp_path / "reports" / "corrected")
    assert mended["decision"] == "PROCEED"
    assert mended["dataset"]["utterances"] == 105 - given["wrong"]
    findings = {one["id"] for one in mended["findings"] if one["severity"] == "error"}
    assert not findings & {*TYPED, *TRIMMED}
