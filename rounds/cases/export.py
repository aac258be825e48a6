"""Cases as data: a manifest to test or train on, and corrections for the corpora they are from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_gate.corpus.corrections import Action, Correction
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import relative_to
from asr_gate.corpus.formats.lines import json_bytes
from asr_gate.corpus.utterance import DEFAULT_DOMAIN
from asr_gate.rounds.cases.case import Case, Status


@dataclass(frozen=True, slots=True)
class Manifest:
    """Cases as the rows of a manifest."""

    content: bytes
    """One JSON object a line."""
    rows: int
    no_text: int
    """Cases that were left out: nobody wrote down what was said."""
    no_audio: int
    """Cases that were left out: it is not known where their audio is, or it is gone."""
    outside: str | None
    """Folder that holds all audio, if not the manifest's: reading it takes an audio root."""


def as_manifest(cases: Sequence[Case], target: Path) -> Manifest:
    """The rows of cases with the best text that is known, each row once.

    Of several cases of one row the one that a person looked at counts, and of those the last.

    Args:
        cases: in the order in which they were added; dropped ones are left out.
        target: where the manifest will lie: audio in or under its folder is named from there, other
            audio by its absolute path.
    """
    rows: dict[tuple[str, str | None, float], Case] = {}
    no_text = no_audio = 0
    for case in sorted(cases, key=lambda case: case.status != "open"):
        if case.status == "dropped":
            continue
        if not (case.text or "").strip():
            no_text += 1
        elif case.audio is None or not os.path.isfile(case.audio):  # noqa: PTH113  (any name)
            no_audio += 1
        else:
            rows[case.row, case.audio, case.offset] = case
    folder = target.absolute().parent
    lines = [_line(case, folder) for _, case in sorted(rows.items(), key=lambda item: item[0][0])]
    audio = [os.path.normpath(case.audio) for case in rows.values() if case.audio is not None]
    inside = all(Path(name).is_relative_to(folder) for name in audio)
    outside = None if inside else os.path.commonpath([os.path.dirname(name) for name in audio])  # noqa: PTH120
    return Manifest(b"".join(lines), len(lines), no_text, no_audio, outside)


def _line(case: Case, folder: Path) -> bytes:
    assert case.audio is not None, "rows without audio are left out"
    row = {
        "id": case.row,
        "audio_filepath": relative_to(case.audio, folder),
        "text": case.text,
        "offset": case.offset or None,
        "duration": case.duration,
        "lang": case.language,
        "domain": case.domain if case.domain != DEFAULT_DOMAIN else None,
    }
    return json_bytes({name: value for name, value in row.items() if value is not None}) + b"\n"


_ACTIONS: dict[Status, Action] = {"corrected": "text", "confirmed": "keep", "dropped": "drop"}


def as_corrections(cases: Sequence[Case]) -> bytes:
    """What people decided about rows of corpora, for `asr correct`: one JSON object a line.

    Entries of production logs are in no corpus yet, and are left out; `as_manifest` has them.
    """
    found = dict.fromkeys(
        Correction(
            id=case.row,
            origin=case.origin,
            action=_ACTIONS[case.status],
            old_text=case.reference,
            new_text=case.correction,
            who=case.who,
            why=case.why,
            source="review" if case.source == "audit" else "evaluation",
        )
        for case in cases
        if case.status in _ACTIONS and case.source != "production"
    )
    return b"".join(f"{one.model_dump_json()}\n".encode() for one in found)


def require_rows(manifest: Manifest) -> None:
    """Refuse a manifest without rows.

    Raises:
        UserError: no case has both a text and audio.
    """
    if not manifest.rows:
        raise UserError(
            f"no case to export: {manifest.no_text} have no text (asr cases import notes what was "
            f"said), {manifest.no_audio} no audio"
        )
