"""What all trials of a sweep have in common: the training command that its file names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TypedDict

from asr_gate.audit.gate import WANDB, authorise, verify
from asr_gate.audit.policy import load_policy
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus
from asr_gate.rounds.sweep.file import Loaded
from asr_gate.train.authorise import REPORTS, Authorisation, authorise_training, report_path

ARGS = ("${args}", "${args_no_hyphens}")
"""Where W&B's agent puts the values of a trial, with or without two hyphens before each."""


@dataclass(frozen=True)
class Base:
    """The options of `asr train` that a file's `command` gives, and what a project says."""

    recipe: str
    data: tuple[str, ...] = ()
    audio_root: Path | None = None
    split: str | None = None
    report: str | None = None
    policy: Path | None = None
    verify_key: Path | None = None
    accept_caution: bool = False
    accept_leaks: bool = False
    processes: int | None = None
    overrides: tuple[str, ...] = ()
    labels: tuple[LabelRule, ...] = ()
    reports: Path = REPORTS
    language: str | None = None
    """Of rows that name none, where the recipe names none either."""

    def arguments(self) -> list[str]:
        """Of `asr`, for a training by the recipe."""
        values = {
            "--audio-root": self.audio_root,
            "--split": self.split,
            "--report": self.report,
            "--policy": self.policy,
            "--verify-key": self.verify_key,
            "--processes": self.processes,
        }
        flags = {"--accept-caution": self.accept_caution, "--accept-leaks": self.accept_leaks}
        return [
            "train",
            self.recipe,
            *(part for one in self.data for part in ("--data", one)),
            *(part for name, one in values.items() if one is not None for part in (name, str(one))),
            *(name for name, given in flags.items() if given),
            *self.overrides,
        ]

    def authorised(self) -> Authorisation:
        """Pass the gate; errors as in `authorise_training`."""
        return authorise_training(
            self.report,
            self.data,
            audio_root=self.audio_root,
            labels=self.labels,
            reports=self.reports,
            accept_caution=self.accept_caution,
            policy=self.policy,
            verify_key=self.verify_key,
        )

    def check_inputs(self, where: str = "") -> None:
        """Read the manifests and the report, which must allow to train; no audio is opened.

        Args:
            where: the command stands, for messages.

        Raises:
            UserError: as `authorise_training`, except for data that changed since the audit.
        """
        try:
            read_corpus(self.data, audio_root=self.audio_root, split=self.split, labels=self.labels)
            if (self.report or "").startswith(WANDB):
                return
            path = report_path(self.report, self.reports, self.data)
            required = load_policy(self.policy) if self.policy else None
            found = verify(path, str(path), policy=required, verify_key=self.verify_key)
            authorise(found, str(path), accept_caution=self.accept_caution)
        except UserError as error:
            error.args = (f"{where}: command: {error}",) if where else error.args
            raise


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def read_base(loaded: Loaded) -> Base:
    """The training that a file's `command` describes; nothing else can be started by it.

    Raises:
        UserError: it is not `asr train`, or has an option that a sweep sets itself.
    """
    where = loaded.where("command")
    words = [word for word in loaded.content.command if word != "${env}"]
    if words[:2] != ["asr", "train"]:
        raise UserError(f'{where}: command must begin with asr, train, "${{program}}"')
    program = loaded.content.program
    rest = [program if one == "${program}" else one for one in words[2:] if one not in ARGS]
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--data", action="append", default=[])
    for name in ("--split", "--report"):
        parser.add_argument(name)
    for name in ("--audio-root", "--policy", "--verify-key"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--processes", type=int)
    for name in ("--accept-caution", "--accept-leaks"):
        parser.add_argument(name, action="store_true")
    try:
        given = vars(parser.parse_intermixed_args(rest))
    except UserError as error:
        raise UserError(f"{where}: command: {error}; a sweep sets the other options") from error
    if given["recipe"] != program:
        raise UserError(f"{where}: command names {given['recipe']}, and program {program}")
    data, changed = tuple(given.pop("data")), tuple(given.pop("overrides"))
    return Base(**given, data=data, overrides=changed)


class Project(TypedDict, total=False):
    """What a project says, where the file of a sweep says nothing."""

    data: Sequence[str]
    """Manifests."""
    audio_root: Path | None
    """One more folder that audio may lie in."""
    split: str | None
    """Of the manifests."""
    labels: Sequence[LabelRule]
    """Rules that give rows domains and splits."""
    reports: Path
    """Folder of the audits."""
    language: str | None
    """Of rows that name none."""


def with_project(base: Base, project: Project) -> Base:
    """The same with what a project says, where the command says nothing."""
    return replace(
        base,
        data=base.data or tuple(project.get("data", ())),
        audio_root=base.audio_root or project.get("audio_root"),
        split=base.split or project.get("split"),
        labels=tuple(project.get("labels", ())),
        reports=project.get("reports", REPORTS),
        language=project.get("language"),
    )
