"""Rows whose transcripts are known to be wrong, or doubtful, by other means than an aligner."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_toml


class KnownRow(BaseModel):
    """One row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    verdict: Literal["wrong", "doubtful"]
    """Doubtful rows count neither as wrong nor as right."""
    how: str = Field(min_length=1)
    """How that was established."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    row: list[KnownRow]


def read_known(path: Path) -> list[KnownRow]:
    """Read a TOML file of `[[row]]` tables with `id`, `verdict` and `how`.

    Raises:
        UserError: missing, not TOML, something else in it, or an id that is there twice.
    """
    try:
        rows = _File.model_validate(read_toml(path)).row
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{path}: {where}: {first['msg']}; each [[row]] has id, verdict (wrong or doubtful) "
            "and how"
        ) from error
    except ValueError as error:
        raise UserError(f"{path}: not TOML ({error})") from error
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise UserError(f"{path}: row {row.id} is there twice; remove one of them")
        seen.add(row.id)
    return rows
