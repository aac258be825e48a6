"""Writes `report.html` beside a report."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from asr_gate.audit.policy import Policy
from asr_gate.audit.report.build import AuditResult
from asr_gate.audit.report.clips import clips
from asr_gate.audit.report.page import FOLDER, PAGE_FILE, page
from asr_gate.audit.report.page_data import page_data
from asr_gate.audit.report.write import rows_of_tables
from asr_gate.corpus.cache import open_cache
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.utterance import Corpus


def write_page(
    result: AuditResult,
    corpus: Corpus,
    folder: Path,
    policy: Policy,
    next_commands: Sequence[tuple[str, str]],
    *,
    audio: bool = True,
    cache: bool = True,
) -> Path:
    """Write the page, and the audio that it does not hold itself.

    Args:
        result: the audit.
        corpus: what was audited.
        folder: of the audit.
        policy: how large the page may become.
        next_commands: what to run next, and what it does.
        audio: False: without any, for data that may not leave.
        cache: whether audio that was encoded before is taken from the user's cache.

    Returns:
        The page.
    """
    tables = rows_of_tables(result, corpus)
    limits = policy.report
    data = page_data(result.report, **tables, next_commands=next_commands, limit=limits.rows)
    by_id = {u.id: u for u in corpus.utterances}
    heard = [by_id[row["id"]] for row in data["rows"] if "text" in row]
    shown = list(islice(heard, limits.clips)) if audio else []
    sounds = list(clips(shown, open_cache() if cache else None))
    made = page(data, sounds, round(limits.inline_megabytes * 1_000_000))
    beside = folder / FOLDER
    shutil.rmtree(beside, ignore_errors=True)
    if made.files:
        beside.mkdir()
    for name, content in made.files.items():
        write_atomically(beside / name, content)
    write_atomically(folder / PAGE_FILE, made.html)
    return folder / PAGE_FILE
