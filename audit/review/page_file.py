"""`report.html` beside a report: with the audit, and anew when people's verdicts are put in."""

from __future__ import annotations

import re
import shutil
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from asr_gate.audit.gate.tables import AuditReport
from asr_gate.audit.policy import PagePolicy
from asr_gate.audit.records.finding import Frozen
from asr_gate.audit.report.clips import clips
from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.report.page import FOLDER, PAGE_FILE, Sounds, page, placed
from asr_gate.audit.report.page_data import page_data
from asr_gate.corpus.cache import open_cache
from asr_gate.corpus.files import RECORD_LIMIT, read_regular, write_atomically
from asr_gate.corpus.rows import with_ids
from asr_gate.corpus.strict import parse_json
from asr_gate.corpus.text.plain import plain
from asr_gate.corpus.utterance import Corpus

_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


class _Sound(Frozen):
    """Audio as a page of ours names it."""

    inline: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")] | None = None
    file: Annotated[str, Field(pattern=rf"^{FOLDER}/[0-9]{{5,9}}\.[a-z]{{3,5}}$")] | None = None
    peaks: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{0,10000}={0,2}$")]


_SOUNDS = TypeAdapter(dict[str, _Sound])


def content_of(found: AuditReport, data: Data, most: int) -> dict[str, Any]:
    """What the page of a report shows, but for the audio.

    Args:
        found: the verified report.
        data: what was audited.
        most: rows in the list.

    Raises:
        NoVerdict: a table is missing or was altered.
        KeyError, TypeError, ValueError: the tables are not those of an audit.
    """
    tables = {name: found.arrow(name) for name in ("utterances", "words", "gaps", "heard")}
    return page_data(found.content, tables, found.path.parent, data, most)


def write_page(
    found: AuditReport,
    corpus: Corpus,
    limits: PagePolicy,
    data: Data,
    *,
    audio: bool = True,
    cache: bool = True,
) -> Path:
    """Write the page of an audit, and the audio that it does not hold itself.

    Args:
        found: the report, whose tables are written; it need not be yet.
        corpus: what was audited.
        limits: how large the page may become.
        data: how the corpus is named on a command line.
        audio: False: without any, for data that may not leave.
        cache: whether audio that an earlier audit made is used, and kept for later ones.

    Returns:
        The page.
    """
    folder = found.path.parent
    content = content_of(found, data, limits.rows)
    shown = [row["id"] for row in content["rows"] if "text" in row]
    by_id = with_ids(corpus.utterances, shown)
    heard = [by_id[identity] for identity in shown]
    wanted = list(islice(heard, limits.clips)) if audio else []
    # Where the policy reads no whole recordings, neither does the page.
    cache = cache and found.content.dataset.fingerprint_audio == "full"
    made = list(clips(wanted, open_cache() if cache and wanted else None))
    sounds, files = placed(content, made, round(limits.inline_megabytes * 1_000_000))
    beside = folder / FOLDER
    shutil.rmtree(beside, ignore_errors=True)
    if files:
        beside.mkdir()
    for name, sound in files.items():
        write_atomically(beside / name, sound)
    return _write(folder, content, sounds)


def renew_page(folder: Path, content: dict[str, Any]) -> Path:
    """Write the page anew with the audio that it has: it holds what the same audit heard.

    Args:
        folder: of the audit.
        content: from `content_of`.
    """
    sounds = _sounds(folder / PAGE_FILE, content["digest"])
    shown = {row["id"] for row in content["rows"]}
    return _write(folder, content, {id: one for id, one in sounds.items() if id in shown})


def _write(folder: Path, content: dict[str, Any], sounds: Sounds) -> Path:
    title = f"{content['decision']}: audit of {plain(content['about']['data'])}"
    html, _ = page({**content, "sounds": sounds}, title)
    write_atomically(folder / PAGE_FILE, html)
    return folder / PAGE_FILE


def _sounds(path: Path, digest: str) -> Sounds:
    """The audio of a page of this audit, which may be anybody's file; of another there is none."""
    try:
        found = _DATA.search(read_regular(path, RECORD_LIMIT).decode())
        data = parse_json(found[1]) if found else {}
        if data.get("digest") != digest:
            return {}
        checked = _SOUNDS.validate_python(data.get("sounds"))
    except (OSError, ValueError, AttributeError):
        return {}
    return {id: one.model_dump(exclude_none=True) for id, one in checked.items()}
