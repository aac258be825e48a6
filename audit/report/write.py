"""The files of one audit."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from asr_gate.audit.records.excluded import excluded
from asr_gate.audit.records.report import (
    REPORT_FILE,
    ROWS_FILE,
    Report,
)
from asr_gate.audit.report.build import LENGTH_MISMATCH, AuditResult
from asr_gate.audit.report.history import keep_earlier
from asr_gate.audit.report.junit import junit
from asr_gate.audit.report.locations import Locations
from asr_gate.audit.report.markdown import markdown
from asr_gate.audit.report.sarif import sarif
from asr_gate.audit.report.schemas import SCHEMAS
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.fingerprint import to_lines
from asr_gate.corpus.utterance import Corpus
from asr_gate.corpus.write import clean_jsonl


def write(
    result: AuditResult,
    corpus: Corpus,
    folder: Path,
    page: Callable[[Report], object] = lambda report: None,
) -> AuditResult:
    """Write tables, pages and the report, each atomically.

    The report is last: it vouches for the tables, and where a disk is full before all the rest is
    written, there is none that a gate could rely on. An earlier one is kept in the `history`.

    Args:
        result: the audit.
        corpus: what was audited.
        folder: of the audit.
        page: writes what else says the same as the report.

    Returns:
        The result with the digests of the tables and of the report filled in.
    """
    schemas = dict(SCHEMAS)
    if result.folds is not None:
        schemas["utterances"] = schemas["utterances"].append(pa.field("fold", pa.int64()))
    tables = {
        f"{name}.parquet": _parquet(rows, schemas[name])
        for name, rows in rows_of_tables(result, corpus).items()
    }
    tables[ROWS_FILE] = to_lines(result.fingerprint.rows)
    digests = {name: f"sha256:{hashlib.sha256(b).hexdigest()}" for name, b in tables.items()}
    report = result.report.model_copy(update={"tables": digests}).sealed()
    result = replace(result, report=report)
    keep_earlier(folder)
    for name, content in tables.items():
        write_atomically(folder / name, content)
    write_atomically(folder / "clean.jsonl", clean_jsonl(corpus, set(excluded(report))))
    write_views(report, {row.id: (row.coverage, row.measured.text) for row in result.rows}, folder)
    page(report)
    write_atomically(folder / REPORT_FILE, report.to_bytes())
    return result


def write_views(report: Report, sampled: Mapping[str, tuple[float, str]], folder: Path) -> None:
    """Write what says the same as the report to others: SARIF, JUnit, Markdown.

    Args:
        report: the report.
        sampled: coverage and transcript of the sampled rows, by id.
        folder: of the audit.
    """
    places = Locations(report.dataset.manifests, Path.cwd())
    log = json.dumps(sarif(report, places), ensure_ascii=False, indent=1)
    write_atomically(folder / "findings.sarif", log.encode())
    held = "; ".join(report.reasons) if report.decision in ("STOP", "NO_VERDICT") else None
    write_atomically(folder / "junit.xml", junit(report, places, held))
    write_atomically(folder / "report.md", markdown(report, sampled, places).encode())


def rows_of_tables(result: AuditResult, corpus: Corpus) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table, by its name."""
    return {
        "utterances": _utterances(result, corpus),
        "words": _words(result),
        "gaps": _gaps(result),
        "heard": _heard(result),
    }


def _utterances(result: AuditResult, corpus: Corpus) -> list[dict[str, Any]]:
    origins = corpus.relative_origins()
    utterances = {u.id: u for u in corpus.utterances}
    rows = []
    for row in result.rows:
        codes = result.codes(row)
        rows.append(
            {
                "id": row.id,
                "domain": row.domain,
                "duration": row.measured.duration,
                "text": row.measured.text,
                "coverage": row.coverage,
                "text_coverage": row.text_coverage,
                "speech_coverage": row.speech_coverage,
                "confidence": row.confidence,
                "quality": row.quality,
                "length_mismatch": LENGTH_MISMATCH in codes,
                "low_quality": result.low_quality(row),
                "rules": codes,
                "unknown_characters": row.measured.unknown,
                "dropped_characters": row.measured.dropped,
                "origin": origins[row.id],
                "speaker": utterances[row.id].speaker,
                "split": utterances[row.id].split,
                "language": row.measured.lang,
                "audio": utterances[row.id].audio_name,
                "offset": utterances[row.id].offset,
                "speech_seconds": row.measured.speech_seconds,
                "speech_to_noise": row.measured.speech_to_noise,
                "bandwidth": row.measured.signal and row.measured.signal.bandwidth,
                "activity": row.measured.activity,
                "unaligned": row.unaligned,
            }
            | ({} if result.folds is None else {"fold": result.folds[row.id]})
        )
    return rows


def _words(result: AuditResult) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "index": index,
            "word": word.text,
            "start": word.start,
            "end": word.end,
            "confidence": word.confidence,
            "spoken": word.spoken,
            "replaced": word.replaced,
            "kept": word.kept,
        }
        for row in result.rows
        for index, word in enumerate(row.words)
    ]


def _gaps(result: AuditResult) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "index": index,
            "start": gap.start,
            "end": gap.end,
            "untranscribed": gap.untranscribed,
        }
        for row in result.rows
        for index, gap in enumerate(row.gaps)
    ]


def _heard(result: AuditResult) -> list[dict[str, Any]]:
    return [
        {"id": row.id, "index": index, "word": word.text, "start": word.start, "end": word.end}
        for row in result.rows
        for index, word in enumerate(row.heard)
    ]


def _parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()
