"""Tasks for Label Studio, and corrections from what it exports.

Format: https://labelstud.io/guide/task_format.html. The names below stand in the labelling
configuration, of which `docs/corrections.md` has the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from asr_gate.corpus.corrections import (
    MOST_CORRECTIONS,
    Correction,
    bounded_content,
    parsed,
)
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.review_table import ACTIONS
from asr_gate.corpus.strict import parse_json

AUDIO = "audio"
TEXT = "transcription"
VERDICT = "verdict"
NOTE = "note"
KEEP = "keep"
"""Label of the stretch that a row is to have."""
FLAGGED = "flagged"


class _Open(BaseModel):
    """What Label Studio writes has many fields that are nobody's business here."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Data(_Open):
    id: Annotated[str, Field(min_length=1, max_length=10_000)]
    text: Annotated[str, Field(max_length=100_000)]
    origin: Annotated[str, Field(max_length=10_000)] = ""
    offset: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    source: str = "import"


class _Value(_Open):
    text: list[str] | str | None = None
    choices: list[str] = []
    labels: list[str] = []
    start: float | None = None
    end: float | None = None


class _Result(_Open):
    from_name: str = ""
    value: _Value


class _Person(_Open):
    id: int | None = None
    email: str = ""


class _Annotation(_Open):
    result: Annotated[list[_Result], Field(max_length=1000)]
    was_cancelled: bool = False
    completed_by: _Person | int | None = None
    created_at: str = ""
    updated_at: str = ""


class _Task(_Open):
    data: _Data
    annotations: Annotated[list[_Annotation], Field(max_length=1000)] = []


def task(
    data: dict[str, Any],
    suggested: str,
    spans: Iterable[tuple[float, float]],
    version: str,
    confidence: float | None,
) -> dict[str, Any]:
    """One task with its pre-annotation.

    Args:
        data: what the annotator sees; `id`, `text`, `audio` and `offset` at least.
        suggested: the text to begin with.
        spans: what was flagged, seconds from the beginning of the audio file.
        version: of what suggests it.
        confidence: of the suggestion, 0 to 1; None: it is the text as it was.
    """
    result: list[dict[str, Any]] = [
        {
            "id": "text",
            "from_name": TEXT,
            "to_name": AUDIO,
            "type": "textarea",
            "value": {"text": [suggested]},
        }
    ]
    result += [
        {
            "id": f"span{number}",
            "from_name": "spans",
            "to_name": AUDIO,
            "type": "labels",
            "value": {"start": start, "end": end, "labels": [FLAGGED]},
        }
        for number, (start, end) in enumerate(spans)
    ]
    prediction: dict[str, Any] = {"model_version": version, "result": result}
    if confidence is not None:
        prediction["score"] = round(confidence, 3)
    return {"data": data, "predictions": [prediction]}


def read_label_studio(path: Path) -> list[Correction]:
    """The corrections of a file that Label Studio exported as JSON.

    Of each annotation the text counts, unless `wrong` or `bad_audio` was chosen: another text than
    the row's corrects it, the same text says that it is right. A region labelled `keep` trims.
    Cancelled annotations and `unsure` say nothing.

    Raises:
        UserError: it cannot be read, or is not of these tasks.
    """
    try:
        tasks = parse_json(bounded_content(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); export from Label Studio as JSON") from error
    if not isinstance(tasks, list):
        raise UserError(f"{path}: not a list of tasks; export from Label Studio as JSON")
    found: list[Correction] = []
    for number, raw in enumerate(tasks, start=1):
        try:
            one = parsed(_Task, raw)
            for annotation in one.annotations:
                found += _corrections(one.data, annotation)
        except ValueError as error:
            raise UserError(
                f"{path}: task {number}: {error}; export tasks that asr corrections export made"
            ) from error
        if len(found) > MOST_CORRECTIONS:
            raise UserError(f"{path}: over {MOST_CORRECTIONS} annotations; split the file")
    return found


def _corrections(data: _Data, annotation: _Annotation) -> list[Correction]:
    """What one annotation says.

    Raises:
        ValueError: it contradicts itself.
    """
    if annotation.was_cancelled:
        return []
    choices = [c for r in annotation.result if r.from_name == VERDICT for c in r.value.choices]
    notes = [_text(r.value) for r in annotation.result if r.from_name == NOTE]
    texts = [_text(r.value) for r in annotation.result if r.from_name == TEXT]
    regions = [r.value for r in annotation.result if KEEP in r.value.labels]
    if unknown := [c for c in choices if c not in ACTIONS]:
        raise ValueError(f"verdict {unknown[0][:40]!r}: there is no such one")
    if len(regions) > 1:
        raise ValueError("several regions are labelled keep; leave one")
    about = {
        "id": data.id,
        "origin": data.origin,
        "old_text": data.text,
        "who": _who(annotation.completed_by),
        "at": annotation.updated_at or annotation.created_at,
        "why": ": ".join(filter(None, [*choices, *notes])),
        "source": data.source,
    }
    if "drop" in {ACTIONS[c] for c in choices}:
        return [parsed(Correction, {**about, "action": "drop"})]
    if any(ACTIONS[c] is None for c in choices):
        return []
    given: list[dict[str, object]] = []
    for region in regions:
        if region.start is None or region.end is None:
            raise ValueError("a region without its times")
        # Its times count from the beginning of the file.
        start = max(0.0, region.start - data.offset)
        given.append({"action": "trim", "start": start, "end": region.end - data.offset})
    new = " ".join(" ".join(texts).split())
    if new and new != " ".join(data.text.split()):
        given.append({"action": "text", "new_text": new})
    if new and not given:
        given.append({"action": "keep"})
    return [parsed(Correction, {**about, **one}) for one in given]


def _text(value: _Value) -> str:
    return " ".join(value.text) if isinstance(value.text, list) else value.text or ""


def _who(person: _Person | int | None) -> str:
    if isinstance(person, _Person):
        return (person.email or f"label-studio {person.id}")[:200]
    return "" if person is None else f"label-studio {person}"
