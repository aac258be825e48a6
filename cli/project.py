"""`asr.toml`: what a project says once instead of on every command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_toml

FILE = Path("asr.toml")
EXAMPLE = Path(__file__).parents[1] / "audit" / "example" / "proceed.jsonl"


class _Corpus(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    manifests: Annotated[list[str], Field(min_length=1)]
    audio_root: Path | None = None


class _Project(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: _Corpus


def manifests_or_default(
    given: Sequence[str], audio_root: Path | None
) -> tuple[list[str], Path | None, str | None]:
    """Manifests and audio root: those given, else the project's, else the bundled corpus.

    Returns:
        Manifests, audio root, and a line that says where they come from if they were not given.

    Raises:
        UserError: `asr.toml` is there and cannot be read.
    """
    project = _read_project()
    root = audio_root
    if root is None and project and project.corpus.audio_root is not None:
        from asr_gate.corpus.audio_paths import audio_root_of_project

        root = audio_root_of_project(project.corpus.audio_root, FILE)
    if given:
        return list(given), root, None
    if project:
        said = f"corpus of {FILE}: {', '.join(project.corpus.manifests)}"
        return project.corpus.manifests, root, said
    said = "no manifest named and no asr.toml here: using the bundled example corpus"
    return [_shown(EXAMPLE)], root, said


def _read_project() -> _Project | None:
    if not os.path.lexists(FILE):
        return None
    try:
        return _Project.model_validate(read_toml(FILE))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{FILE}: {where}: {first['msg']}") from error
    except OSError as error:
        raise UserError(f"{FILE}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{FILE}: cannot be read ({error})") from error


def _shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
