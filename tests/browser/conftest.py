"""A real browser, and pages of reports to open in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from playwright.sync_api import Browser, Page, sync_playwright

from asr_gate.audit.report.clips import clips
from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.report.page import FOLDER, page, placed
from asr_gate.audit.report.page_data import page_data
from asr_gate.audit.report.schemas import SCHEMAS
from asr_gate.audit.report.write import rows_of_tables
from asr_gate.corpus.utterance import Utterance
from tests.audit.controls.rows import normal_rows, row
from tests.audit.report.test_build import corpus_of, result_of

RATE = 16000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium; `make test` installs it."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield started
        started.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A page in which nothing may go wrong and that may ask for nothing elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: wrong.append("a dialog"))
    opened.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith(("file:", "blob:", "http://127.0.0.1:"))
            else wrong.append(asked.url)
        ),
    )
    opened.wrong = wrong  # type: ignore[attr-defined]
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def data() -> dict[str, Any]:
    """A corpus with three bad rows among sixty, as the page shows it."""
    rows = [
        *normal_rows(57, 0),
        row(97, deletion=9.0),
        row(98, speech=12.0),
        row(99, mismatch=1.2),
    ]
    result = result_of(rows)
    tables = {
        name: pa.Table.from_pylist(table, SCHEMAS[name])
        for name, table in rows_of_tables(result, corpus_of(rows)).items()
    }
    return page_data(result.report, tables, Path("reports/phase0"), Data(["m.jsonl"]), 5000)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a tone."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    time = np.arange(3 * RATE) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * time), RATE)
    return path


def utterance(id: str, sound: Path) -> Utterance:
    return Utterance(id, "", sound, "tone.wav", "m.jsonl:1")


def write_page(
    folder: Path, data: dict[str, Any], sound: Path, inline_bytes: int = 10_000_000
) -> Path:
    """`report.html` with the tone for each of the first rows, and what lies beside it."""
    heard = [one for one in data["rows"] if "text" in one][:20]
    made = list(clips([utterance(one["id"], sound) for one in heard]))
    sounds, files = placed(data, made, inline_bytes)
    for name, content in files.items():
        (folder / FOLDER).mkdir(exist_ok=True)
        (folder / FOLDER / name).write_bytes(content)
    path = folder / "report.html"
    path.write_bytes(page({**data, "sounds": sounds}, "a report")[0])
    return path
