"""Versions of a dataset: what it was when, one small file each.

    datasets/calls/v1.json          fingerprint, rows, splits, errors
    datasets/calls/v1.wandb.json    its artifact in W&B, if it was logged

Rows and audio stay where they are: the fingerprint tells whether they are still the same.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.overview import overview
from asr_gate.corpus.strict import read_json
from asr_gate.corpus.utterance import Corpus

DATASETS = Path("datasets")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class DatasetVersion(BaseModel):
    """What a dataset was."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    name: str
    number: int
    fingerprint: str
    """Of rows, texts and audio, as that of an audit that hashes every byte."""
    manifests: list[str]
    rows: int
    skipped: int
    hours: float | None
    """None: no length is known."""
    splits: dict[str, int]
    """Rows by split; empty: the manifests name none."""
    domains: dict[str, int]
    languages: dict[str, int]
    errors: dict[str, int]
    """Known errors of models in these rows, by kind."""
    tool: str
    created_at: str

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"v{self.number}.json"


@dataclass(frozen=True, slots=True)
class LoggedDataset:
    """Where a version was logged."""

    artifact: str
    digest: str


def add_version(
    name: str, corpus: Corpus, errors: Mapping[str, int], folder: Path = DATASETS
) -> tuple[DatasetVersion, bool]:
    """Note what a dataset is now.

    Args:
        name: of the dataset: letters, digits, `_`, `.`, `-`.
        corpus: all its rows.
        errors: known errors of models in these rows, by kind.
        folder: of all datasets.

    Returns:
        The version, and whether it is new: if nothing changed since the last one, that is returned.

    Raises:
        UserError: a name that is none, or a file that cannot be read or written.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"--name {name!r}: use letters, digits, '_', '.' and '-'")
    found = overview(corpus)
    earlier = versions(name, folder)
    made = DatasetVersion(
        name=name,
        number=earlier[-1].number + 1 if earlier else 1,
        fingerprint=fingerprint(corpus).digest,
        manifests=corpus.manifests,
        rows=found.rows,
        skipped=found.skipped,
        hours=None if found.hours is None else round(found.hours, 4),
        splits=found.splits,
        domains=found.domains,
        languages=found.languages,
        errors=dict(errors),
        tool=version("asr-gate"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if earlier and _content(earlier[-1]) == _content(made):
        return earlier[-1], False
    path = folder / name / made.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{made.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    return made, True


def _content(one: DatasetVersion) -> dict[str, Any]:
    return one.model_dump(exclude={"number", "tool", "created_at"})


def versions(name: str | None = None, folder: Path = DATASETS) -> list[DatasetVersion]:
    """Every version of a dataset, or of all, by name and number.

    Raises:
        UserError: a file is none of these.
    """
    found = []
    for path in sorted(folder.glob(f"{glob.escape(name) if name else '*'}/v*.json")):
        if path.name.endswith(".wandb.json"):
            continue
        try:
            found.append(DatasetVersion.model_validate(read_json(path)))
        except (OSError, ValueError) as error:  # ValidationError is one
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise UserError(
                f"{path}: not a version of a dataset ({reason}); restore or remove it"
            ) from error
    return sorted(found, key=lambda one: (one.name, one.number))


def note_logged(one: DatasetVersion, logged: LoggedDataset, folder: Path = DATASETS) -> None:
    """Note beside a version where it was logged; trainings and evaluations name it as an input."""
    content = {"artifact": logged.artifact, "digest": logged.digest}
    path = folder / one.name / one.file
    write_atomically(path.with_suffix(".wandb.json"), json.dumps(content).encode())


def logged_dataset(digest: str, folder: Path = DATASETS) -> LoggedDataset | None:
    """The newest logged version with this fingerprint; None: there is none.

    A damaged file here holds up no training.
    """
    found: list[tuple[int, LoggedDataset]] = []
    for path in folder.glob("*/v*.wandb.json"):
        try:
            one = DatasetVersion.model_validate(
                read_json(path.with_name(path.name.removesuffix(".wandb.json") + ".json"))
            )
            noted = read_json(path)
            if one.fingerprint == digest:
                logged = LoggedDataset(str(noted["artifact"]), str(noted["digest"]))
                found.append((one.number, logged))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return max(found, key=lambda pair: pair[0])[1] if found else None
