"""`asr.toml`: what a project says once instead of on every command line.

The file may come with a repository of a stranger, so it can name no folder outside of its own to
read audio from or to write to, and no server.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.settings_file import read_settings
from asr_gate.corpus.storage import url_of

if TYPE_CHECKING:
    from asr_gate.corpus.utterance import Corpus

FILE = Path("asr.toml")
EXAMPLE = Path(__file__).parents[1] / "audit" / "example" / "proceed.jsonl"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusSettings(_Section):
    """The data."""

    manifests: list[str] = Field(default=[], description="files and folders that list the rows")
    split: str | None = Field(default=None, description="the split of these manifests, as --split")
    language: str | None = Field(
        default=None,
        description="language of rows that name none: an ISO 639 code, or an English name",
    )
    audio_root: Path | None = Field(
        default=None,
        description="folder inside that of asr.toml that audio may lie in, as --audio-root",
    )
    rules: list[LabelRule] = Field(
        default=[], description="domains and splits by pattern; the first rule that matches counts"
    )


class AuditSettings(_Section):
    """How it is audited."""

    aligner: str | None = Field(default=None, description="the acoustic model, as --aligner")
    romanize: bool = Field(
        default=False, description="whether this aligner gets Latin letters, as --romanize"
    )
    policy: Path | None = Field(default=None, description="policy file of audits, as --policy")


class OutputSettings(_Section):
    """Where results go; both folders lie inside that of asr.toml."""

    reports: Path = Field(default=Path("reports"), description="folder of all audits")
    runs: Path = Field(default=Path("runs"), description="folder of all trainings")


class TrackingSettings(_Section):
    """What W&B gets; the rest stands in recipes and in the environment."""

    enabled: bool | None = Field(default=None, description="log to Weights & Biases, as --wandb")
    project: str | None = Field(default=None, description="the W&B project")
    tags: tuple[str, ...] | None = Field(default=None, description="labels of every run")

    def given(self) -> dict[str, Any]:
        """What is set, as `TrackerSettings.resolve` takes it."""
        return self.model_dump(exclude_none=True)


class Project(_Section):
    """A whole `asr.toml`."""

    corpus: CorpusSettings = Field(default_factory=CorpusSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    output: OutputSettings = Field(default_factory=OutputSettings)
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)


@dataclass(frozen=True)
class Reading:
    """Which corpus is read, and how."""

    manifests: list[str]
    audio_root: Path | None
    split: str | None
    labels: tuple[LabelRule, ...]
    said: str | None
    """A line that says where the manifests come from, if they were not given."""

    @property
    def bundled(self) -> bool:
        """Whether this is a corpus that comes with asr-gate."""
        bundled = EXAMPLE.parent.resolve()
        folders = (bundled, bundled / "he")
        return all(Path(name).resolve().parent in folders for name in self.manifests)

    def read(self) -> Corpus:
        """Read it.

        Raises:
            UserError: as `read_corpus`.
        """
        from asr_gate.corpus.read import read_corpus

        return read_corpus(
            self.manifests, audio_root=self.audio_root, split=self.split, labels=self.labels
        )


def reading(
    project: Project, given: Sequence[str], audio_root: Path | None, split: str | None
) -> Reading:
    """The corpus that was given, or else the project's, or else the bundled one.

    The project's split counts for its own manifests alone; its rules and its audio root for all.

    Raises:
        UserError: the project's audio root lies outside of its folder.
    """
    own = project.corpus
    root = audio_root
    if root is None and own.audio_root is not None:
        from asr_gate.corpus.audio_paths import audio_root_of_project

        root = audio_root_of_project(own.audio_root, FILE)
    said = None
    names = list(given)
    if not names and own.manifests:
        names = own.manifests
        said = f"corpus of {FILE}: {', '.join(names)}"
    elif not names:
        names = [_shown(EXAMPLE)]
        there = "asr.toml names none" if FILE.exists() else "no asr.toml here"
        said = f"no manifest named and {there}: using the bundled example corpus"
    if split is None and {*map(os.path.abspath, names)} <= {*map(os.path.abspath, own.manifests)}:
        split = own.split
    return Reading(names, root, split, tuple(own.rules), said)


def load_project() -> Project:
    """The settings of `asr.toml` in this folder; without one, the defaults.

    Raises:
        UserError: it is there and cannot be read, or has a key that there is not or a value that
            does not fit.
    """
    if not os.path.lexists(FILE):
        return Project()
    project = read_settings(FILE, Project)
    for name in project.corpus.manifests:
        # Of the others the user's own settings say who is asked; this may be any server.
        if (url_of(name) or "").startswith("https:"):
            raise UserError(
                f"{FILE}: corpus.manifests: {name} names a server, which a file of a repository "
                "cannot; name it on the command line"
            )
    here = Path.cwd().resolve()
    for key in project.output.model_fields_set:
        folder = getattr(project.output, key)
        if (url := url_of(folder)) is not None:
            raise UserError(
                f"{FILE}: output.{key}: {url} lies outside of this folder; leave it out, and name "
                "it with --out"
            )
        if not folder.resolve().is_relative_to(here):
            raise UserError(
                f"{FILE}: output.{key}: {folder} lies outside of this folder; leave it out, and "
                "name the folder with --out"
            )
    return project


def _shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
