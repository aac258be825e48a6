"""Options that several commands share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from asr_gate.tracking import Tracker


def corpus_options(command: Any) -> Any:
    """`--audio-root` and `--split`; what was audited is read with what the audit was given."""
    command = click.option("--split", help="Which split of the manifests.")(command)
    return click.option(
        "--audio-root",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="One more folder, or URL, that audio may lie in, beside the manifest's.",
    )(command)


class ReportPath(click.Path):
    """A report or the folder of an audit; one that lies in a store is copied to disk."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises UserError where the store does not give it."""
        if "://" not in str(value):
            return super().convert(value, param, ctx)
        from asr_gate.audit.gate.remote import on_disk

        return on_disk(value)


REPORT = ReportPath()


class WithOverrides(click.Command):
    """A command that takes `--key=value` for `key=value`, where it has no option of that name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the hyphens off; a misspelt option is still an error, which names near ones."""
        options = {name for one in self.params for name in (*one.opts, *one.secondary_opts)}
        return super().parse_args(ctx, [self._plain(one, options) for one in args])

    def _plain(self, argument: str, options: Collection[str]) -> str:
        name, equals, _ = argument.partition("=")
        key = name.removeprefix("--")
        if not equals or key == name or name in options:
            return argument
        near = difflib.get_close_matches(name, options, n=1, cutoff=0.8)
        return argument if near else argument.removeprefix("--")


def codes_of(given: Sequence[str]) -> set[str]:
    """Codes of rules that were given by code or name, several with commas between them.

    Raises:
        UserError: there is no such rule.
    """
    from asr_gate.audit.records.rules import find_rule

    return {find_rule(name).code for text in given for name in text.split(",")}


def numbers_option(command: Any) -> Any:
    """`--numbers`: how numbers are compared."""
    return click.option(
        "--numbers",
        type=click.Choice(["spoken", "as_written"]),
        default="spoken",
        show_default=True,
        help="Compare numbers as they are said (7 is seven), or as they are written.",
    )(command)


def trust_options(command: Any) -> Any:
    """`--policy` and `--verify-key`: what a report must show before it is relied on."""
    command = click.option(
        "--verify-key",
        type=click.Path(path_type=Path),
        help="Public key (Ed25519, PEM) that must have signed the report.",
    )(command)
    return click.option(
        "--policy",
        type=click.Path(path_type=Path),
        help="Policy file that the report must have been made with.",
    )(command)


def wandb_options(command: Callable[..., int]) -> Any:
    """`--wandb/--no-wandb` and the names of the run; the command gets them as `tracking`.

    What was given of them, as `TrackerSettings.resolve` takes it.
    """

    @wraps(command)
    def with_flags(
        *arguments: Any,
        wandb: bool | None,
        wandb_project: str | None,
        wandb_run_name: str | None,
        wandb_tags: str | None,
        **others: Any,
    ) -> int:
        given = {
            "enabled": wandb,
            "project": wandb_project,
            "run_name": wandb_run_name,
            "tags": None if wandb_tags is None else wandb_tags.split(","),
        }
        flags = {name: value for name, value in given.items() if value is not None}
        return command(*arguments, tracking=flags, **others)

    for option in (
        click.option("--wandb-tags", metavar="A,B", help="Labels of the run."),
        click.option("--wandb-run-name", metavar="NAME", help="Name of the run."),
        click.option("--wandb-project", metavar="NAME", help="W&B project."),
        click.option("--wandb/--no-wandb", default=None, help="Log to Weights & Biases."),
    ):
        with_flags = option(with_flags)
    return with_flags


def tracker_of(kind: str, tracking: Mapping[str, Any], *, name: str | None = None) -> Tracker:
    """A tracker whose run has not begun; its settings are checked.

    Args:
        kind: of the run; also its name, if no other is given.
        tracking: of the command line; environment and `asr.toml` follow.
        name: of the run.
    """
    from asr_gate.cli.project import load_project
    from asr_gate.tracking import Tracker, TrackerSettings

    return Tracker(
        TrackerSettings.resolve(
            TrackerSettings(run_name=name or kind, job_type=kind),
            asr_toml=load_project().tracking.given(),
            **tracking,
        )
    )


def split_overrides(arguments: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Arguments without those that read `wandb.key=value`, and what these set.

    Raises:
        click.UsageError: a value that is no YAML, or a key that there is not.
    """
    rest: list[str] = []
    found: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not (equals and key.startswith("wandb.")):
            rest.append(argument)
            continue
        node = found
        *parents, last = key.removeprefix("wandb.").split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise click.UsageError(f"{argument}: wandb.{parent} was given a value before")
        node[last] = _yaml(argument, text)
    if found:
        from asr_gate.tracking import TrackerSettings

        for key in found.keys() - TrackerSettings.model_fields:
            there = ", ".join(TrackerSettings.model_fields)
            raise click.UsageError(f"wandb.{key}: there is no such setting; there are {there}")
    return tuple(rest), found


def _yaml(argument: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-13-01
        raise click.UsageError(
            f"{argument}: not a value: {' '.join(str(error).split())}"
        ) from error
