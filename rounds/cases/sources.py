"""Cases from where mistakes are seen: results of `asr eval`, audits, production logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asr_gate.corpus.corrections import bounded_lines, parsed
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.strict import parse_json
from asr_gate.corpus.utterance import DEFAULT_DOMAIN, Utterance
from asr_gate.rounds.cases.case import Case
from asr_gate.rounds.cases.operations import operations

_Text = Annotated[str, Field(max_length=100_000)]
_Name = Annotated[str, Field(min_length=1, max_length=10_000)]
_Second = Annotated[float, Field(ge=0, le=1e6)]


class LogEntry(BaseModel):
    """One line of a production log; what else it holds is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    audio: _Name
    """Relative paths start from the log's folder."""
    hypothesis: _Text
    """What the model wrote."""
    id: _Name | None = None
    """None: the audio's name, and the offset if there is one."""
    reference: _Text | None = None
    """What was said, where somebody wrote it down."""
    model: _Name = "unknown"
    domain: _Name = DEFAULT_DOMAIN
    language: _Name | None = None
    offset: _Second = 0.0
    duration: _Second | None = None
    start: _Second | None = None
    end: _Second | None = None
    """Where in the utterance the mistake is."""
    who: Annotated[str, Field(max_length=200)] = ""
    why: _Text = ""

    @model_validator(mode="after")
    def _makes_sense(self) -> LogEntry:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("the span ends before it begins")
        return self

    @property
    def row(self) -> str:
        """The id of the case's row."""
        return self.id or (f"{self.audio}@{self.offset:g}" if self.offset else self.audio)


def cases_of(path: Path, audio_root: Path | None = None) -> list[Case]:
    """The cases that a file or folder tells of.

    Args:
        path: a result of `asr eval` or its folder, a report or the folder of an audit, or a
            production log, one JSON object a line.
        audio_root: one more folder that the audio of a result's manifests may lie in.

    Raises:
        UserError: it is none of these, or cannot be read.
        NoVerdict: the report was altered.
    """
    from asr_gate.audit.records.report import REPORT_FILE
    from asr_gate.train.evaluation.result_file import RESULT_FILE, predictions_file

    if not path.exists():
        raise UserError(
            f"{path}: no such file; name a result of asr eval, the folder of an audit, or a log "
            "(.jsonl)"
        )
    if path.is_dir() and not (path / REPORT_FILE).exists() and not (path / RESULT_FILE).exists():
        raise UserError(f"{path}: holds neither {RESULT_FILE} nor {REPORT_FILE}")
    if path.suffix.lower() == ".jsonl":
        return from_log(path)
    if (path / REPORT_FILE).exists() or path.name == REPORT_FILE:
        return from_audit(path)
    if path.is_dir() or predictions_file(path).exists():
        return from_evaluation(path, audio_root)
    raise UserError(f"{path}: neither a result of asr eval, nor a report, nor a log (.jsonl)")


def from_evaluation(path: Path, audio_root: Path | None = None) -> list[Case]:
    """The rows of an evaluation whose transcripts have errors.

    The manifests that the result names are read for the audio, from the current folder; where they
    are gone, the cases have no audio.

    Raises:
        UserError: the result cannot be read.
    """
    from asr_gate.train.evaluation.result_file import read_result

    result, transcripts = read_result(path)
    rows = _rows(result.manifests, result.split, audio_root)
    found = []
    for one in transcripts:
        errors = operations(one.reference, one.hypothesis, one.language, result.numbers)
        if errors:
            case = Case(
                source="evaluation",
                row=one.id,
                reference=one.reference,
                hypothesis=one.hypothesis,
                model=result.checkpoint_sha256 or result.checkpoint,
                domain=one.domain,
                language=one.language,
                duration=one.seconds,
                operations=tuple(errors),
            )
            found.append(_with_audio(case, rows.get(one.id)))
    return found


def _rows(
    manifests: Iterable[str], split: str | None, audio_root: Path | None
) -> Mapping[str, Utterance]:
    try:
        corpus = read_corpus([*manifests], split=split, audio_root=audio_root)
    except UserError:
        return {}
    return {row.id: row for row in corpus.utterances}


def _with_audio(case: Case, row: Utterance | None) -> Case:
    """The case with the place of its row, if the row is still the one that it is about."""
    if row is None or row.text != case.reference or not isinstance(row.audio, Path):
        return case
    return replace(
        case,
        audio=str(row.audio.absolute()),
        offset=row.offset,
        duration=row.duration,
        language=row.lang or case.language,
        origin=row.origin,
    )


def from_audit(path: Path) -> list[Case]:
    """The rows in which an audit found something that counts, with the text that it proposes.

    Raises:
        NoVerdict: the report or a table of it is missing or was altered.
    """
    from asr_gate.audit.gate.tables import load
    from asr_gate.audit.review.to_review import to_review

    report = load(path)
    domains = {finding.id: finding.domain for finding in report.content.findings}
    rows = _rows(report.content.dataset.manifests, report.content.dataset.split, None)
    found = []
    for one in to_review(report):
        errors = (
            operations(one.text, one.proposed, one.language or None)
            if one.proposed is not None and one.text.strip()
            else []
        )
        start, end = one.spans[0] if one.spans else (None, None)
        case = Case(
            source="audit",
            row=one.id,
            reference=one.text,
            hypothesis=one.proposed,
            model=report.content.digest,
            domain=domains.get(one.id, DEFAULT_DOMAIN),
            language=one.language or None,
            offset=one.offset,
            duration=one.duration,
            start=start,
            end=end,
            origin=one.origin,
            codes=one.codes,
            operations=tuple(errors),
        )
        found.append(_with_audio(case, rows.get(one.id)))
    return found


def from_log(path: Path) -> list[Case]:
    """The entries of a production log; those whose transcript equals the reference are left out.

    Raises:
        UserError: it cannot be read, or a line is no entry.
    """
    found = []
    for number, line in bounded_lines(path):
        origin = f"{path}:{number}"
        try:
            entry = parsed(LogEntry, parse_json(line))
        except ValueError as error:
            raise UserError(
                f"{origin}: not an entry of a production log ({error}); a line is such as "
                '{"audio": "calls/7.wav", "hypothesis": "good mourning", "reference": "good '
                'morning"}'
            ) from error
        case = Case(
            source="production",
            row=entry.row,
            audio=str(path.absolute().parent / entry.audio),
            origin=origin,
            **entry.model_dump(exclude={"audio", "id"}),
        )
        if entry.reference is None:
            found.append(case)
        elif errors := operations(entry.reference, entry.hypothesis, entry.language):
            found.append(replace(case, operations=tuple(errors)))
    return found
