"""One finding, as reports hold it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every record: unknown fields are errors, so that a typo never passes as data."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Finding(Frozen):
    """One thing that a rule found in one utterance."""

    id: str
    code: str
    severity: Literal["error", "warning", "info"]
    message: str
    origin: str
    """Manifest and line, without the folder that all manifests share."""
    domain: str
    speaker: str | None
    split: str | None
    start: float | None
    end: float | None
    """Seconds from the utterance's start; null: all of it."""
    counts: bool
    """False where the controls show that this audit cannot tell, where another row is the one to
    take out, or where people call the row right: listed, held against nobody."""
