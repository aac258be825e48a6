"""What the commands of `asr sweep` are given: the sweep, and what `asr.toml` says."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from asr_gate.rounds.sweep.base import Project
    from asr_gate.rounds.sweep.sweep import Sweep

HELP = {"help_option_names": ["-h", "--help"]}


def sweep_argument(command: Callable[..., int]) -> Any:
    """`SWEEP` and `--out`; the command gets a function that opens the sweep."""

    @click.argument("sweep", type=click.Path(path_type=Path), metavar="SWEEP")
    @click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Folder of the sweep.  [default: sweeps/NAME]",
    )
    @wraps(command)
    def with_sweep(*arguments: Any, sweep: Path, out: Path | None, **others: Any) -> int:
        return command(*arguments, open_sweep=opener(sweep, out), **others)

    return with_sweep


def opener(path: Path, out: Path | None) -> Callable[..., Sweep]:
    """What opens the sweep of a file, or of its folder; takes what else `Sweep.from_yaml` does."""

    def open_sweep(**more: Any) -> Sweep:
        from asr_gate.corpus.text.plain import plain
        from asr_gate.rounds.sweep.sweep import Sweep

        def say(line: str) -> None:
            click.echo(plain(line))

        return Sweep.from_yaml(path, out=out, say=say, **project_settings(), **more)

    return open_sweep


def project_settings() -> Project:
    """What `asr.toml` says of the data, where the file of a sweep says nothing."""
    from asr_gate.cli.project import load_project, reading

    project = load_project()
    source = reading(project, [], None, None)
    return {
        "data": source.manifests,
        "audio_root": source.audio_root,
        "split": source.split,
        "labels": source.labels,
        "reports": project.output.reports,
        "language": project.corpus.language,
    }


def tracking_flags(tracking: dict[str, Any]) -> list[str]:
    """The same options for `asr train`; names and groups of the runs are the sweep's."""
    found = []
    if (enabled := tracking.get("enabled")) is not None:
        found.append("--wandb" if enabled else "--no-wandb")
    if project := tracking.get("project"):
        found += ["--wandb-project", project]
    if tags := tracking.get("tags"):
        found += ["--wandb-tags", ",".join(tags)]
    return found
